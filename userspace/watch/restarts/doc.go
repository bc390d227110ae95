// Package restarts detects that a proxy of generation 1 was restarted, which nothing in its packets says. After a
// restart a proxy knows none of its older calls. So it sends nothing about them any more, and they stay in the table as
// ghosts.
//
// The suspicion begins with a silence: too long for the rate at which the source had been sending, and at least two
// seconds. Then come creations. From then on the table is searched from time to time for what the source did with its
// older calls. One that was changed or ended acquits it: then only the network was interrupted. Otherwise there are two
// proofs:
//
//   - By the rate at which calls ended before, a dozen of the older ones should have ended since, and none has.
//   - OpenSIPS numbers the calls of each bucket of its table upwards from a random start (h_id). If calls since the silence
//     have numbers near those of older ones in the same bucket, the proxy was not restarted; if none has, it was.
//
// A quiet proxy is never suspected: at its rate a silence is nothing unusual. The price is that the restart of a proxy
// with few calls, or one that takes less than two seconds, isn't noticed.
//
// A look at the table reads it in small steps, as a save does. Nothing here costs a worker anything.
package restarts
