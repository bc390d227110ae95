package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

// flushTime is how long stopping waits for what backups have not been sent yet.
const flushTime = 2 * time.Second

// output is the way out: the fan-out to backups, over the sockets that listen, and where none of them can reach a backup over
// one that only sends.
type output struct {
	sink    *socket.Router
	senders []*socket.Socket // ours to close
	egress  *egress.Egress
}

func openOutput(ctx context.Context, o options, in *input, log *slog.Logger) (*output, error) {
	out := &output{}
	for _, any := range []string{"0.0.0.0:0", "[::]:0"} {
		s, err := socket.NewSender(ctx, netip.MustParseAddrPort(any), socket.Config{})
		if err != nil { // a host without IPv6, say: Send will refuse what needs it
			log.Debug("no socket to send from", "address", any, "error", err)
			continue
		}
		out.senders = append(out.senders, s)
	}
	out.sink = socket.NewRouter(in.sockets, out.senders)
	var err error
	if out.egress, err = egress.New(egress.Config{Sink: out.sink, Journal: o.ReplicateQueue, Log: log}); err != nil {
		return nil, errors.Join(err, out.close())
	}
	for _, d := range o.Replicate {
		if err := out.egress.Add(d); err != nil {
			return nil, errors.Join(fmt.Errorf("--replicate-to: %w", err), out.close())
		}
	}
	return out, nil
}

// close sends what still waits, for a short time, and frees the sockets.
func (out *output) close() (err error) {
	if out.egress != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		out.egress.Close(ctx)
	}
	for _, s := range out.senders {
		err = errors.Join(err, s.Close())
	}
	return err
}

// status fills in the part of the status that the way out knows.
func (out *output) status(s *control.Status) {
	st := out.egress.Status()
	s.CreateSent, s.UpdateSent, s.DeleteSent = st.Sent[dialog.Create], st.Sent[dialog.Update], st.Sent[dialog.Delete]
	s.Destinations = []control.DestinationStatus{}
	for i := range st.Destinations {
		s.Destinations = append(s.Destinations, destinationStatus(&st.Destinations[i]))
	}
}

func destinationStatus(d *egress.DestinationStatus) control.DestinationStatus {
	out := control.DestinationStatus{
		Address: d.Address, State: d.State.String(), Since: d.Since, Rate: d.Rate, Bytes: d.Bytes,
		Queued: d.Queued, Dropped: d.Dropped, Own: d.Own, Lost: d.Lost,
		NoSocket: d.NoSocket, Unmatched: d.Unmatched,
		Errors: d.Errors, Refusals: d.Refusals, Unreachables: d.Unreachables,
		Held: heldBack(&d.Report), Sockets: unmatchedSockets(&d.Report), MoreSockets: d.MoreSockets,
	}
	for _, n := range d.Sent {
		out.Sent += n
	}
	if d.Endpoint.IsValid() {
		out.Endpoint = d.Endpoint.String()
	}
	if d.Cause != nil {
		out.Cause = d.Cause.Error()
	}
	return out
}

func heldBack(r *shield.Report) map[string]uint64 {
	held := map[string]uint64{}
	for reason := shield.Passed + 1; reason < shield.Reasons; reason++ {
		held[reason.String()] = r.Held[reason]
	}
	return held
}

func unmatchedSockets(r *shield.Report) map[string]uint64 {
	sockets := map[string]uint64{}
	for _, s := range r.Sockets {
		sockets[s.Socket] = s.Count
	}
	return sockets
}
