package probe

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxBanner is how many bytes of a banner are kept.
const MaxBanner = 512

// Banner makes what a host said fit to keep: at most max bytes of valid UTF-8,
// lines ended by "\n", what cannot be printed written as \xNN or \u{NNNN}, and
// what changes from look to look replaced by "*": dates, counters, challenges.
func Banner(b []byte, max int) string {
	const most = 8 << 10 // what cleaning looks at
	s := string(b[:min(len(b), most)])
	s = neutral(strings.ReplaceAll(s, "\r\n", "\n"))
	for _, c := range changing {
		s = c.find.ReplaceAllString(s, c.keep)
	}
	s = strings.Trim(s, " \t\n")
	if len(s) <= max {
		return s
	}
	n := max
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// neutral writes out what cannot be printed, or would move what is printed.
func neutral(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u{%04x}`, r)
		}
		i += n
	}
	return out.String()
}

// changing is what differs between two looks at the same thing.
var changing = []struct {
	find *regexp.Regexp
	keep string
}{
	// RFC 5322 §3.3: "Sat, 21 Nov 2026 20:59:05 +0000 (UTC)"
	{regexp.MustCompile(`(?i)\b(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?\d{1,2}[ -](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ -]\d{2,4},? +\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?: +[ap]m)?(?: *(?:[+-]\d{4}|[A-Z]{2,4}T?\b))?(?: *\([A-Z]+\))?`), "*"},
	// asctime: "Sat Nov 21 20:59:05 2026", with a zone before the year or not
	{regexp.MustCompile(`(?i)\b(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* +\d{1,2},? +(?:\d{4},? +)?\d{1,2}:\d{2}(?::\d{2})?(?: +[ap]m)?(?: +[A-Z]{2,5})?(?: +\d{4})?(?: *[+-]\d{4})?`), "*"},
	// ISO 8601, and with slashes
	{regexp.MustCompile(`\b\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:Z| ?[+-]\d{2}:?\d{2})?`), "*"},
	{regexp.MustCompile(`\b\d{1,2}[./]\d{1,2}[./]\d{4}[ ,]+\d{1,2}:\d{2}(?::\d{2})?(?: +[AP]M)?`), "*"},
	// RFC 1939 §7: the timestamp of APOP, "<1896.697170952@mail.example>"
	{regexp.MustCompile(`<[^<>\s]*\d[^<>\s]*@[^<>\s]*>`), "<*>"},
	// counters of FTP servers and the clock beside them
	{regexp.MustCompile(`(?i)\b(user number) \d+`), "$1 *"},
	{regexp.MustCompile(`(?i)\b(local time is now|time is|server time:?) +\d{1,2}:\d{2}(?::\d{2})?`), "$1 *"},
	{regexp.MustCompile(`(?i)\b(uptime|up since|session(?: id)?|connection id|conn(?:ection)? #?|pid|process id)([ :=#]+)[0-9a-f][0-9a-f:.-]*\b`), "$1$2*"},
	// ids of one session: long hexadecimal or mixed tokens
	{regexp.MustCompile(`\[[0-9A-Fa-f]{12,}\]`), "[*]"},
	{regexp.MustCompile(`(?i)\b(e?smtp(?: server)?(?: id)?) [0-9a-z]{6,}(?:-[0-9a-z]+)*(?:\.\d+)*( - [a-z]?smtp)\b`), "$1 *$2"},
	{regexp.MustCompile(`(?i)\b(e?smtp id) [0-9a-z]{8,}`), "$1 *"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "*"},
	// what a server says of who asked: our address is not a fact about it
	{regexp.MustCompile(`(?i)\b(host|hello|from|peer|client|your (?:ip|address)(?: is)?)([ :=]+['"\[(]?)(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*)`), "$1$2*"},
	{regexp.MustCompile(`\[(?:\d{1,3}\.){3}\d{1,3}\]`), "[*]"},
}
