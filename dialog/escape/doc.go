// Package escape writes strings of SIP messages, which may hold any bytes, as text, and reads them back.
//
// There is one notation for output, input, JSON, the page and the Wireshark dissector: a byte that can't be shown is \xNN,
// with two hexadecimal digits. Everything else stands for itself.
//
//	caf\xe9@host       the byte e9, which isn't UTF-8
//	a\x1b[2J           an escape sequence of terminals
//	a\xe2\x80\xae      a mark that reverses the writing direction
//	a\x5cx41           a backslash that would otherwise begin such an escape
//
// Nothing is lost: String and Parse are the inverse of each other, and two different strings never look the same.
package escape
