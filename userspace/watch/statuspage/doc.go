// Package statuspage serves a status page of a running appliance for browsers: one page, and the JSON that it shows.
//
//	GET /                          the page: HTML, style and script in one document, without external parts
//	GET /api/status                one control.Status, as `binrepd status --json` prints it
//	GET /api/trend?after=MS        a Trend: the counters second by second, and the losses with their growth
//	GET /api/dialogs?callid=ID     Found: the dialogs of one call, each as `binrepd dialogs get --json` prints it
//
// It is read-only: every method but GET and HEAD is refused. Its cost doesn't grow with the number of viewers, because
// they share one status a second. The size of an answer about a call is bounded, whatever the call contains.
//
// Its strings come from SIP messages, so the callers choose them. They travel only as JSON, and the page's
// script puts them into the document as text, never as markup. A Content-Security-Policy, which allows only this script
// and this style by their hashes, is the second line of defence. Pages of other sites get nothing: there is no CORS,
// Host is checked against DNS rebinding, and the page can't be framed.
package statuspage
