// Package generate makes packets of made-up calls, fast: for the bench, which loads an appliance with them, and for the
// made-up proxies of tests (bin1test.Proxy).
//
//	g := generate.New(1, generate.Options{})
//	packet = g.Append(packet[:0], generate.Call{Number: 7, Start: now, Phase: generate.Create})
//	packet = g.Append(packet[:0], generate.Call{Number: 7, Start: now, Phase: generate.Delete})
//
// Sizes and shares follow the captures of real proxies.
package generate
