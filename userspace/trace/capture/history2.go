package capture

import (
	"bytes"
	"strconv"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// read2 takes a packet of generation 2. A sync has an entry for each dialog of the call in it.
func (h *history) read2(d *Datagram, e *Entry) error {
	if !bytes.Contains(d.Payload, h.needle2) {
		return nil
	}
	node := d.Source.Addr()
	decoder := h.nodes[node]
	if decoder == nil {
		decoder = &bin2.Decoder{}
		h.nodes[node] = decoder
	}
	if p, err := bin2.Parse(d.Payload); err == nil {
		e.Cluster, e.Node, _ = p.Sender()
	}
	switch verdict := decoder.Decode(d.Payload, &h.ev); verdict {
	case bin2.Event:
		if !bytes.Equal(h.ev.CallID(), h.callID) {
			return nil
		}
		h.describe(e, verdict)
	case bin2.Chunks:
		for w := decoder.ChunksOf(d.Payload); w.Next(&h.ev); {
			one := *e
			switch {
			case w.Verdict != bin2.Event:
				one.Verdict = w.Verdict.String()
			case bytes.Equal(h.ev.CallID(), h.callID):
				one.Bytes = len(h.ev.Body)
				h.describe(&one, w.Verdict)
			default:
				continue
			}
			if err := h.add(&one); err != nil {
				return err
			}
		}
		return nil
	default:
		e.Verdict = verdict.String()
	}
	return h.add(e)
}

// describe fills in what the event says.
func (h *history) describe(e *Entry, verdict bin2.Verdict) {
	ev := &h.ev
	e.Good, e.Verdict, e.Kind, e.Layout = true, verdict.String(), ev.Kind, ev.Layout
	version := ev.Layout.Version()
	switch ev.Kind {
	case dialog.Delete:
		var m layout.Deletion
		if layout.ParseDeletion(version, ev.Body, &m) == layout.NoFault {
			e.Details.FromTag, e.Details.ToTag, e.Details.HID = string(m.FromTag), string(m.ToTag), m.HID
		}
	case dialog.Value:
		var m layout.ValueChange
		if layout.ParseValue(version, ev.Body, &m) == layout.NoFault {
			e.Details.HID, e.Name, e.Value, e.Removed = m.HID, string(m.Name), string(m.Text), m.Type == layout.NoValue
			if m.Type == layout.Integer {
				e.Value = strconv.Itoa(int(m.Int))
			}
		}
	case dialog.CSeq:
		var m layout.CSeqChange
		if layout.ParseCSeq(version, ev.Body, &m) == layout.NoFault {
			e.Details.HID, e.Name, e.Value = m.HID, string(m.Tag), strconv.FormatUint(uint64(m.Number), 10)
		}
	default:
		var v layout.View
		if layout.Parse(ev.Layout, ev.Body, &v) == layout.NoFault {
			e.Details, e.More = detailsOf(&v), moreOf(&v)
		}
	}
}

// detailsOf copies the fields that generation 1 has, too.
func detailsOf(v *layout.View) dialog.Details {
	text := func(f layout.Field) string { return string(v.Bytes(f)) }
	return dialog.Details{
		CallID: text(layout.CallID), FromTag: text(layout.FromTag), ToTag: text(layout.ToTag),
		FromURI: text(layout.FromURI), ToURI: text(layout.ToURI),
		HID: v.Number(layout.HID), Start: v.Number(layout.Start), State: dialog.State(v.Number(layout.State)),
		CallerSocket: text(layout.CallerSocket), CalleeSocket: text(layout.CalleeSocket),
		CallerCSeq: text(layout.CallerCSeq), CalleeCSeq: text(layout.CalleeCSeq),
		CallerRouteSet: text(layout.CallerRouteSet), CalleeRouteSet: text(layout.CalleeRouteSet),
		CallerContact: text(layout.CallerContact), CalleeContact: text(layout.CalleeContact),
		MangledFrom: text(layout.MangledFrom), MangledTo: text(layout.MangledTo),
		Vars: text(layout.Values), Profiles: text(layout.Profiles),
		UserFlags: v.Number(layout.UserFlags), Flags: v.Number(layout.Flags), Timeout: v.Number(layout.Timeout),
		CallerGenCSeq: v.Number(layout.CallerGenCSeq), CalleeGenCSeq: v.Number(layout.CalleeGenCSeq),
	}
}

// moreFields are those that only generation 2 has.
const moreFields layout.FieldSet = 1<<layout.CallerSDP | 1<<layout.CallerSentSDP | 1<<layout.CalleeSDP | 1<<layout.CalleeSentSDP |
	1<<layout.CallerAdvContact | 1<<layout.CalleeAdvContact | 1<<layout.ModuleFlags | 1<<layout.OptionsPing | 1<<layout.ReinvitePing |
	1<<layout.OnAnswerRoute | 1<<layout.OnTimeoutRoute | 1<<layout.OnHangupRoute

// moreOf copies those of them that say something.
func moreOf(v *layout.View) map[layout.Field]string {
	more := map[layout.Field]string{}
	for f, rest := (moreFields & v.Fields()).Next(); f < layout.NumFields; f, rest = rest.Next() {
		text := string(v.Bytes(f))
		if f.IsNumber() && v.Number(f) != 0 {
			text = strconv.FormatUint(uint64(v.Number(f)), 10)
		}
		if text != "" {
			more[f] = text
		}
	}
	return more
}
