// Package container holds the Dockerfile, and a test that compares its versions and capabilities with those elsewhere.
package container
