// Package donortest has a model of an OpenSIPS node that asks for a sync: what each release does with chunks, with the
// end, and with live packets meanwhile. It is pure: packets and times go in. Source: sections 3.5, 4.6 and 4.8 of the
// specification of generation 2.
package donortest
