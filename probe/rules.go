package probe

import "github.com/vedette-hub/vedette"

// Rules turn what services say into software.
type Rules struct{}

// Match finds the software that a text tells of. The key says where the text
// stood: "ssh.banner", "http_header.server" (the keys of Recog, and our own).
func (r *Rules) Match(key, text string) []vedette.Software { return nil }
