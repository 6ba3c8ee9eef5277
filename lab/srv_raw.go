package lab

import "io"

// serveRaw says its greeting, answers nothing, and waits until the client goes.
func serveRaw(s *session) {
	if s.live.svc.Greeting != "" && s.say("%s", s.live.svc.Greeting) != nil {
		return
	}
	io.Copy(io.Discard, io.LimitReader(s.r, 1<<16))
}

// serveTarpit accepts, says nothing and reads nothing.
func serveTarpit(s *session) { s.wait(patience) }
