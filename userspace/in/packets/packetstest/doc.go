// Package packetstest holds a Source and a Sink for tests, which obey the contracts of package packets to
// the letter and make it show when the code under test doesn't.
//
//	src := packetstest.NewSource()
//	sink := packetstest.NewSink()
//	... start the code under test with src and sink ...
//	src.Feed(packets.Packet{Payload: packet, Sender: from})
//	src.WaitReleased(ctx)    // everything fed has been received, handled and released
//	sink.WaitSent(ctx, 1)    // so many messages have been sent
//	src.Stop()               // Receive returns net.ErrClosed after what had arrived
package packetstest
