package appliance

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestDamagedState damages the newer of two saved tables in every 64th byte, one after the other: each time the older one is used,
// exactly as it was saved, and the damage is told. With both damaged it starts empty, and says so.
func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, new(bytes.Buffer))
	few, many := 8, 20
	if appliancetest.Chaos() {
		few, many = 60, 200
	}
	k.begin(t, 1, few)
	k.save(t.Context())
	older := detailsOf(k.table)
	k.begin(t, 1, many)
	k.save(t.Context())
	newer := detailsOf(k.table)
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	files := [2][]byte{}
	for g := range files {
		var err error
		if files[g], err = os.ReadFile(k.file(g)); err != nil {
			t.Fatal(err)
		}
	}
	if len(older) != few || len(newer) != many {
		t.Fatalf("%d and %d dialogs saved", len(older), len(newer))
	}
	seed := appliancetest.Seed(t)
	random := rand.New(rand.NewPCG(seed, 9))
	damage := func(generation, at int) {
		t.Helper()
		b := bytes.Clone(files[generation])
		b[at] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(k.file(generation), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	restored := func(want []dialog.Details, damaged bool) {
		t.Helper()
		k := keep(t, dir, new(bytes.Buffer))
		at, err := k.restore(t.Context(), nil)
		if err != nil || (k.status.Damaged != "") != damaged || at.IsZero() != (len(want) == 0) {
			t.Errorf("restored from %v, error %v, status %+v", at, err, k.status)
		}
		for _, line := range bin1test.DiffDetails(detailsOf(k.table), want) {
			t.Error(line)
		}
		if err := k.close(); err != nil {
			t.Error(err)
		}
		if err := k.table.Close(); err != nil {
			t.Error(err)
		}
	}
	restored(newer, false)
	tried := 0
	for at := 0; at < len(files[1]); at += 64 {
		damage(1, at)
		if restored(older, true); t.Failed() {
			t.Fatalf("byte %d (BINREPD_SEED=%d)", at, seed)
		}
		tried++
	}
	both := 0
	for at := 0; at < min(len(files[0]), len(files[1])); at += 64 * 16 {
		damage(0, at)
		damage(1, at)
		if restored(nil, true); t.Failed() {
			t.Fatalf("byte %d of both (BINREPD_SEED=%d)", at, seed)
		}
		both++
	}
	t.Logf("a file of %d bytes damaged in %d places: each time the older one was restored; %d times both were damaged, and the table was empty",
		len(files[1]), tried, both)
}

// detailsOf lists the live dialogs of a table.
func detailsOf(table *dialog.Table) (out []dialog.Details) {
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			if !v.Tombstone() && v.State().Live() {
				out = append(out, v.Body().Details())
			}
		})
	}
	return slices.Clip(out)
}
