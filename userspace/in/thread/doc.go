// Package thread tells the system's scheduler how a consumer's thread is to be run: on which processor, and soon after it is woken.
package thread
