// Package bin2test gives tests packets of generation 2: those of captures of real clusters, reassembled from TCP, and
// decoders of messages whose kind a test doesn't know beforehand.
package bin2test
