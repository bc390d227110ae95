// Package capture reads files of captured packets, pcap and pcapng, and finds the UDP datagrams in them. It reads the
// recordings of binrepd, and captures of a real network with Ethernet, VLAN tags and fragments.
//
//	files --Reader--> frames --> datagrams --Sorted--> in the order of their time
//	                                       --History--> the history of one call
//
// gopacket reads the formats, the headers and the fragments. Frames that are damaged, cut short or not UDP are counted
// and skipped. A file without a proper end, which a killed process may leave, ends with its last complete packet.
package capture
