// Package hostport reads a destination as users write it, HOST:PORT, and finds its address.
package hostport
