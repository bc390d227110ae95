// Package container holds the Dockerfile, and a test that its versions and capabilities are those of the rest.
package container
