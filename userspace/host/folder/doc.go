// Package folder takes a folder for one process: saved tables, recordings, and pins in a BPF filesystem each lie in a folder in
// which no second binrepd may work.
package folder
