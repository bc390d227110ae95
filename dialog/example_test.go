package dialog_test

import (
	"fmt"

	"binrepd/dialog"
)

// A table applies events by the rules of this package. The caller brings the clock, and the hash of the Call-ID that chooses
// the shard.
func ExampleTable() {
	table, err := dialog.NewTable(dialog.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer table.Close()

	const now = 1_700_000_000
	call := dialog.Details{
		CallID: "3c26700c1a02@192.0.2.20", FromTag: "1928301774", ToTag: "a6c85cf", State: dialog.Confirmed,
		Start: now, Timeout: now + 43_200, CallerCSeq: "1", CalleeCSeq: "0",
	}
	apply := func(kind dialog.Kind) {
		ev := dialog.Event{
			Kind: kind, State: call.State, Start: call.Start, Timeout: call.Timeout,
			Key: call.AppendKey(nil), Body: call.AppendPacked(nil), Hash: 7,
		}
		if kind == dialog.Delete {
			ev.Body = ev.Key
		}
		shard := table.Lock(table.ShardOf(ev.Hash))
		defer shard.Unlock()
		shard.Apply([]*dialog.Event{&ev}, now)
		fmt.Println(kind, "is", ev.Outcome)
	}
	apply(dialog.Create)
	apply(dialog.Create)
	apply(dialog.Delete)
	apply(dialog.Update) // overtaken by the deletion

	counts := table.Counts()
	fmt.Println(counts.Live(), "live,", counts.Tombstones, "remembered as ended")
	// Output:
	// create is applied
	// create is duplicate
	// delete is applied
	// update is late
	// 0 live, 1 remembered as ended
}

// Scan copies nothing: what a View returns is valid only during the call.
func ExampleTable_Scan() {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer table.Close()
	call := dialog.Details{CallID: "a@example.org", FromTag: "f", ToTag: "t", State: dialog.Answered, Start: 1_700_000_000, Timeout: 1_700_043_200}
	ev := dialog.Event{Kind: dialog.Create, State: call.State, Start: call.Start, Timeout: call.Timeout, Key: call.AppendKey(nil), Body: call.AppendPacked(nil)}
	shard := table.Lock(0)
	shard.Apply([]*dialog.Event{&ev}, 1_700_000_000)
	shard.Unlock()

	var cursor dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cursor, func(v *dialog.View) {
			fmt.Println(v.State(), v.Body().Details().CallID)
		})
	}
	// Output:
	// answered a@example.org
}
