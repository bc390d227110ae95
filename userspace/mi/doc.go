// Package mi asks an OpenSIPS proxy through its management interface (MI): which dialogs and contacts it has, what its
// statistics are, which sharing tags it knows. It can also make a tag active. It speaks the three dialects that the
// releases from 1.10 to 4.0 have (a text tree, the JSON of 1.11 to 2.4, and JSON-RPC) over HTTP, FIFO and datagrams.
//
// Every answer becomes a tree of [Node], so that the rest of the package reads one form. Strings hold the bytes that
// the proxy sent: they need not be UTF-8.
//
// The proxy serves one request after the other, and some requests end it (a JSON batch on the FIFO of 3.4 and later).
// So a client sends one proper call at a time, waits for its answer, and repeats nothing in haste.
package mi
