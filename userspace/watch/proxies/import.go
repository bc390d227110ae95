package proxies

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/mi"
	"binrepd/userspace/watch/audit"
	"binrepd/userspace/watch/control"
)

// importAll answers an ImportRequest.
func (s *Service) importAll(ctx context.Context, req ImportRequest, write func(any) error) error {
	begin := time.Now()
	if _, err := control.ParseFilter(url.Values{"origin": {req.Origin}}); req.Origin != "" && err != nil {
		return wrong("%w", err)
	}
	c, a, done, err := s.connect(ctx, req.MI)
	if err != nil {
		return err
	}
	defer done()
	in := s.importer(c, s.originOf(ctx, &req.Target, a))
	in.dry = req.DryRun
	sum := ImportSummary{
		Proxy: a.String(), Version: string(cut(c.Version())), Layout: in.id.String(), DryRun: req.DryRun, Outcomes: map[string]uint64{},
		Origin: control.SenderName(s.Engine.Sender(in.origin)),
	}
	_, err = c.Dialogs(ctx, true, func(d mi.Dialog) error {
		if !d.Answered() {
			if !d.Ended() {
				sum.Early++
			}
			return nil
		}
		sum.Dialogs++
		outcome := in.take(&d)
		switch {
		case outcome == dialog.NoOutcome:
			sum.Unfit++
			return nil
		case outcome.Changed():
			sum.Imported++
			if d.ProfilesLost || d.FlagNames && d.Flags != "" {
				sum.Lacking++
			}
		case outcome == dialog.Duplicate:
			sum.Known++
		case outcome == dialog.RefusedMemory:
			return errors.New("the table is full: raise --max-memory or --max-dialogs of run, and import again")
		}
		sum.Outcomes[outcome.String()]++
		return nil
	})
	sum.Seconds = time.Since(begin).Seconds()
	if err != nil {
		return fmt.Errorf("%s: after %d dialogs, of which %d were imported: %w", a, sum.Dialogs, sum.Imported, err)
	}
	return write(sum)
}

// importer plays dialogs of a proxy on the table.
type importer struct {
	service *Service
	id      layout.ID
	origin  uint16
	since   uint8
	dry     bool
	body    []byte
}

// importer begins an import: live events that come from now on win over it.
func (s *Service) importer(c *mi.Client, origin uint16) *importer {
	return &importer{service: s, id: audit.LayoutFor(c.Dialect(), c.Version()), origin: origin, since: s.Table.BeginSync()}
}

// take plays one dialog. NoOutcome means that it can't be stored.
func (i *importer) take(d *mi.Dialog) dialog.Outcome {
	var ok bool
	if i.body, ok = audit.Append(i.body[:0], d, i.id); !ok {
		return dialog.NoOutcome
	}
	s := i.service
	hash := s.Steering.CallID([]byte(d.CallID))
	if i.dry {
		return i.would(hash, d)
	}
	outcome, fault := s.Engine.Import(i.id, i.body, hash, i.origin, i.since)
	if fault != layout.NoFault {
		return dialog.NoOutcome
	}
	return outcome
}

// would says roughly what would become of a dialog.
func (i *importer) would(hash uint32, d *mi.Dialog) dialog.Outcome {
	outcome := dialog.Applied
	i.service.Table.Get(hash, []byte(d.CallID), func(v *dialog.View) bool {
		_, from, to := v.Names()
		if string(from) != d.Caller.Tag || string(to) != d.Callees[0].Tag {
			return true
		}
		switch {
		case v.Tombstone():
			outcome = dialog.Late
		case v.State().Live():
			outcome = dialog.Duplicate
		}
		return outcome == dialog.Applied
	})
	return outcome
}
