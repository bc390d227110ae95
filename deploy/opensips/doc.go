// Package opensips holds examples for opensips.cfg, a script for keepalived that fills a standby, and their tests.
package opensips
