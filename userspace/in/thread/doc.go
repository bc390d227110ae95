// Package thread tells the system's scheduler how to run a consumer's thread: on which processor, and soon after it is
// woken.
package thread
