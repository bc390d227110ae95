// Package opensips holds examples of opensips.cfg and a script for keepalived that has a standby filled, and their tests.
package opensips
