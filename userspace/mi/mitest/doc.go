// Package mitest has a stand-in for an OpenSIPS proxy with a management interface, for tests of other packages. It
// answers in the form of each release and over each transport, its table can change while it is asked, and it fails the
// test on a request that would end a real proxy, cost it the next request, or get no answer.
//
//	p := mitest.New(t, "3.6")
//	p.Put(mitest.Call(1))
//	address := p.Start("http")
package mitest
