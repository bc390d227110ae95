// Package capture reads files of captured packets, pcap and pcapng, and finds the UDP datagrams in them: those that binrepd recorded, and
// those of a real network, with Ethernet, VLAN tags and fragments.
//
//	files --Reader--> frames --> datagrams --Sorted--> in the order of their time
//	                                       --History--> the story of one call
//
// gopacket reads the formats, the headers and the fragments. What is damaged, cut short or no UDP is counted and passed over, and a file
// whose end is missing, as a process that was killed may leave it, ends with its last whole packet.
package capture
