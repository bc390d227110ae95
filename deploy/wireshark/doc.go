// Package wireshark holds binrepd.lua, a dissector of BIN packets for Wireshark and tshark, and its tests: every field
// and every verdict is compared with what packages bin1, bin2 and layout make of the same packet.
package wireshark
