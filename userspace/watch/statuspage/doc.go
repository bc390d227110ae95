// Package statuspage shows how a running appliance stands to a person with a browser: one page, and the JSON it draws.
//
//	GET /                          the page: HTML, style and script in one document, nothing from elsewhere
//	GET /api/status                one control.Status, as `binrepd status --json` prints it
//	GET /api/trend?after=MS        a Trend: the counters second by second, and the losses with their growth
//	GET /api/dialogs?callid=ID     Found: the dialogs of one call, each as `binrepd dialogs get --json` prints it
//
// It reads only: every method but GET and HEAD is refused. Its cost doesn't grow with the number of viewers, because they share one
// status a second, and an answer about a call is bounded whatever the call is made of.
//
// Strings in it come from SIP messages, that is, from whoever places a call. They travel as JSON only, and the script of the page
// puts them into the document as text, never as markup; a Content-Security-Policy that knows the one script and the one style by
// their hashes stands behind that. Nothing is served to a page of another site: no CORS, a check of Host against DNS
// rebinding, and no frames.
package statuspage
