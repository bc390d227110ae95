package record

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// fileHeader returns the start of each file: the section header, an interface for each listen address, and one for each
// group of connections. All have the same link type, because libpcap reads no file with several.
func fileHeader(application string, listeners []netip.AddrPort, streams []string) ([]byte, error) {
	var interfaces []pcapgo.NgInterface
	for _, l := range listeners {
		interfaces = append(interfaces, pcapgo.NgInterface{
			Name: l.String(), Description: "UDP datagrams to " + l.String() + "; the Ethernet, IP and UDP headers are made up",
		})
	}
	for _, name := range streams {
		interfaces = append(interfaces, pcapgo.NgInterface{
			Name: name, Description: "packets from nodes of " + name + ", decrypted; the Ethernet, IP and TCP headers are made up",
		})
	}
	var b bytes.Buffer
	var w *pcapgo.NgWriter
	for _, in := range interfaces {
		in.LinkType, in.TimestampResolution = layers.LinkTypeEthernet, 9 // powers of a tenth: nanoseconds
		var err error
		if w == nil {
			w, err = pcapgo.NewNgWriterInterface(&b, in, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application}})
		} else {
			_, err = w.AddInterface(in)
		}
		if err != nil {
			return nil, fmt.Errorf("file header: %w", err)
		}
	}
	if w == nil {
		return nil, errors.New("file header: no interface")
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("file header: %w", err)
	}
	return b.Bytes(), nil
}
