package savefile_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"binrepd/userspace/out/savefile"
)

// BenchmarkSaveAndLoad also reports how long an event waited for its shard, at most, while the table was being saved.
func BenchmarkSaveAndLoad(b *testing.B) {
	const n = 200_000
	a := newAppliance(b)
	p := newProxy(1, n)
	a.fill(p, n)
	path := filepath.Join(b.TempDir(), "state")
	b.Run("save", func(b *testing.B) {
		stop, longest := make(chan struct{}), make(chan time.Duration)
		go func() {
			var most time.Duration
			for shard := 0; ; shard = (shard + 1) % a.table.Shards() {
				select {
				case <-stop:
					longest <- most
					return
				default:
					begin := time.Now()
					a.table.Lock(shard).Unlock()
					most = max(most, time.Since(begin))
					time.Sleep(100 * time.Microsecond)
				}
			}
		}()
		for b.Loop() {
			if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path}); err != nil {
				b.Fatal(err)
			}
		}
		close(stop)
		b.ReportMetric(float64((<-longest).Microseconds()), "longest-wait-µs")
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "dialogs/s")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			empty := newAppliance(b)
			b.StartTimer()
			if l, err := savefile.Load(context.Background(), savefile.LoadConfig{Table: empty.table, Path: path}); err != nil || l.Changed() != n {
				b.Fatal(l, err)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "dialogs/s")
	})
}
