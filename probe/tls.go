package probe

import "crypto/tls"

// anyTLS opens a session with whatever server there is, for a name ("" none):
// the look reads, it trusts nothing.
func anyTLS(name string) *tls.Config {
	c := &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	return c
}

// isTLS says whether bytes begin an alert or a handshake record (RFC 8446 §5.1).
func isTLS(head []byte) bool {
	return len(head) >= 3 && (head[0] == 21 || head[0] == 22) && head[1] == 3 && head[2] <= 4
}
