package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"binrepd/dialog"
	"binrepd/userspace/out/savefile"
	"binrepd/userspace/watch/control"
)

// SaveFile writes the live dialogs to a file, and with Everything early calls and ended ones, too.
func (a *Appliance) SaveFile(ctx context.Context, req control.FileRequest) (control.SaveSummary, error) {
	s, err := savefile.Save(ctx, savefile.SaveConfig{Table: a.table, Path: req.Path, Everything: req.Everything, Origin: a.engine.Sender})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that the appliance runs as must be allowed to write there", err)
	}
	return control.SaveSummary{
		Path: req.Path, Dialogs: s.Dialogs, Early: s.Early, Ended: s.Ended, Bytes: s.Bytes, Seconds: s.Duration.Seconds(),
	}, err
}

// LoadFile applies a saved file. A damaged file changes nothing. Backups aren't told of the changes; Sync does that.
func (a *Appliance) LoadFile(ctx context.Context, req control.FileRequest) (control.LoadSummary, error) {
	s, err := savefile.Load(ctx, savefile.LoadConfig{Table: a.table, Path: req.Path, Steering: a.steering, Origin: a.engine.OriginNumber})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the user that the appliance runs as must be allowed to read it", err)
	}
	out := control.LoadSummary{
		Path: req.Path, Records: s.Records, Changed: s.Changed(), Outcomes: map[string]uint64{},
		Expired: s.Expired, Skipped: s.Skipped, Seconds: s.Duration.Seconds(),
	}
	for o, n := range s.Outcomes {
		if n > 0 {
			out.Outcomes[dialog.Outcome(o).String()] = n
		}
	}
	return out, err
}
