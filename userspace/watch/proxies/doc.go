// Package proxies asks OpenSIPS proxies through their management interface what calls they have, and compares that with
// the table (package audit) or fills the table with it. It answers the requests of `binrepd audit`, `binrepd import`
// and `binrepd sync --mi`, and audits on a schedule.
//
// A proxy serves one request after the other, and the same process may serve other clients. So there is one audit or
// import at a time for each proxy, the proxy works at most half of the time for it, and nothing is repeated in haste.
//
// An import is consistent with live events: it begins as a sync does (dialog.Table.BeginSync), so that dialogs of which
// events tell meanwhile, and those that have ended, are left alone (engine.Engine.Import).
package proxies
