package bin1_test

import (
	"fmt"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

func exampleCall() dialog.Details {
	return dialog.Details{
		CallID: "3c26700c1a02@192.0.2.20", FromTag: "1928301774", ToTag: "a6c85cf",
		FromURI: "sip:alice@example.org", ToURI: "sip:bob@example.com",
		Start: 1_700_000_000, State: dialog.Answered, Timeout: 1_700_043_200,
		CallerSocket: "udp:192.0.2.10:5060", CalleeSocket: "udp:192.0.2.10:5060",
		CallerCSeq: "1", CalleeCSeq: "0",
		CallerContact: "sip:alice@192.0.2.20:5060", CalleeContact: "sip:bob@192.0.2.30:5060",
	}
}

// Decode verifies a packet and reads the change that it announces. The event's key and body are views into the packet.
func ExampleDecode() {
	call := exampleCall()
	packet := bin1.Append(nil, dialog.Create, call.AppendPacked(nil))

	var ev dialog.Event
	if verdict := bin1.Decode(packet, &ev); verdict != bin1.Dialog {
		fmt.Println("refused:", verdict)
		return
	}
	d := ev.Body.Details()
	fmt.Println(ev.Kind, d.State, d.CallID)

	packet[len(packet)-1] ^= 1
	fmt.Println("with a bit changed:", bin1.Decode(packet, &ev))
	// Output:
	// create answered 3c26700c1a02@192.0.2.20
	// with a bit changed: bad_checksum
}

// Append builds a packet from a packed dialog, or for a deletion from its packed key.
func ExampleAppend() {
	call := exampleCall()
	created := bin1.Append(nil, dialog.Create, call.AppendPacked(nil))
	deleted := bin1.Append(nil, dialog.Delete, call.AppendKey(nil))
	fmt.Printf("%d and %d bytes, both begin with %q\n", len(created), len(deleted), created[:4])
	// Output:
	// 290 and 74 bytes, both begin with "P4CK"
}
