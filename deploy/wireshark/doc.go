// Package wireshark holds binrepd.lua, a dissector of BIN packets for Wireshark and tshark, and its tests: every field
// and every verdict is compared with what package bin makes of the same packet.
package wireshark
