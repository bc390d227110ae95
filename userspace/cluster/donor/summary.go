package donor

// Refused is the number of dialogs that the requester lacks because they were held back.
func (s *Summary) Refused() (n int) {
	for _, reason := range [...]Reason{NoSocket, SocketTag, SocketProtocol, TooLong, Malformed} {
		n += s.Held[reason.String()]
	}
	return n
}
