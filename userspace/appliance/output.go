package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

// flushTime bounds how long a shutdown sends what still waits for backups and for the recorder.
const flushTime = 2 * time.Second

// output is the way out: it sends events to backups from the sockets that listen. If none of them can reach a backup, a
// socket that only sends is used.
type output struct {
	sink    *socket.Router
	senders []*socket.Socket // ours to close
	egress  *egress.Egress
}

func openOutput(ctx context.Context, cfg *Config, in *input) (*output, error) {
	out := &output{}
	for _, any := range []string{"0.0.0.0:0", "[::]:0"} {
		s, err := socket.NewSender(ctx, netip.MustParseAddrPort(any), socket.Config{})
		if err != nil { // such as on a host without IPv6: Send will refuse packets that need it
			cfg.Log.Debug("no socket to send from", "address", any, "error", err)
			continue
		}
		out.senders = append(out.senders, s)
	}
	out.sink = socket.NewRouter(in.sockets, out.senders)
	var err error
	if out.egress, err = egress.New(egress.Config{Sink: out.sink, Journal: cfg.ReplicateQueue, Log: cfg.Log}); err != nil {
		return nil, errors.Join(err, out.close())
	}
	for _, d := range cfg.Replicate {
		if err := out.egress.Add(d); err != nil {
			return nil, errors.Join(fmt.Errorf("--replicate-to: %w", err), out.close())
		}
	}
	return out, nil
}

// close sends what still waits, for at most flushTime, and frees the sockets.
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

// status fills in what the way out contributes to the status.
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

// heldBack returns how many events were held back, by reason.
func heldBack(r *shield.Report) map[string]uint64 {
	held := map[string]uint64{}
	for reason := shield.Passed + 1; reason < shield.Reasons; reason++ {
		held[reason.String()] = r.Held[reason]
	}
	return held
}

// unmatchedSockets returns how often each socket occurred that no rewrite rule names.
func unmatchedSockets(r *shield.Report) map[string]uint64 {
	sockets := map[string]uint64{}
	for _, s := range r.Sockets {
		sockets[s.Socket] = s.Count
	}
	return sockets
}
