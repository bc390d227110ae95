package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
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
	answers *net.UDPConn // where other appliances answer; nil: at the listen addresses
	hearing sync.WaitGroup
}

// openOutput opens the way out of the appliance with that number.
func openOutput(ctx context.Context, cfg *Config, in *input, number uint64, lookup shield.Dialogs) (*output, error) {
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
	config := egress.Config{
		Sink: out.sink, Journal: cfg.ReplicateQueue, Origin: number, Log: cfg.Log,
		Own: func(to netip.AddrPort) bool { return isOwn(cfg.Listen, to) },
	}
	if !cfg.NoConvert {
		config.Convert = lookup
	}
	// Answers come to a port of their own, so that a backup need not be among the allowed sources.
	var err error
	if out.answers, err = net.ListenUDP("udp", nil); err == nil {
		config.AnswerPort = out.answers.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	} else {
		cfg.Log.Warn("no port for the answers of other appliances: they come to the listen addresses, if --allow lets them", "error", err)
	}
	if out.egress, err = egress.New(config); err != nil {
		return nil, errors.Join(err, out.close())
	}
	out.hearing.Go(out.hear)
	for _, d := range cfg.Replicate {
		if err := out.egress.Add(d); err != nil {
			return nil, errors.Join(fmt.Errorf("--replicate-to: %w", err), out.close())
		}
	}
	return out, nil
}

// hear takes the answers of other appliances until close.
func (out *output) hear() {
	if out.answers == nil {
		return
	}
	buf := make([]byte, 512) // much longer than an answer
	for {
		n, from, err := out.answers.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			out.egress.Hear(&packets.Packet{Payload: buf[:n], Sender: packets.Sender{Endpoint: packets.EndpointOf(from)}})
		}
	}
}

// close sends what still waits, for at most flushTime, and frees the sockets.
func (out *output) close() (err error) {
	if out.egress != nil {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		out.egress.Close(ctx)
	}
	if out.answers != nil {
		err = out.answers.Close()
	}
	out.hearing.Wait()
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
		Queued: d.Queued, Dropped: d.Dropped, Own: d.Own, Lost: d.Lost, Repeated: d.Repeated,
		NoSocket: d.NoSocket, Unmatched: d.Unmatched,
		Errors: d.Errors, Refusals: d.Refusals, Unreachables: d.Unreachables,
		Peer: d.Peer, Paused: d.Paused, NeedsSync: needsSync(d), Away: d.Away.Seconds(),
		Converted: d.Report.Lost.Converted, ConversionLost: d.Report.Lost.ByName(),
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

// needsSync says why a backup must be synced, or nothing.
func needsSync(d *egress.DestinationStatus) string {
	if !d.NeedsSync() {
		return ""
	}
	var why []string
	if d.Away > 0 {
		why = append(why, fmt.Sprintf("was away %d s", int64(max(d.Away.Round(time.Second), time.Second)/time.Second)))
	}
	if d.Moved {
		why = append(why, "has another address")
	}
	if d.Missed > 0 {
		why = append(why, fmt.Sprintf("missed %d events", d.Missed))
	}
	if d.Withheld > 0 {
		why = append(why, fmt.Sprintf("%d events of generation 2 held back before it answered", d.Withheld))
	}
	return strings.Join(why, ", ")
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
