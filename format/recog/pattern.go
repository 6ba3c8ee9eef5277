package recog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Pattern is a fingerprint ready to match.
type Pattern struct {
	Fingerprint
	re *regexp.Regexp
	// bytes says that the expression names bytes above 0x7F: then a text is
	// looked at byte by byte, as ISO 8859-1.
	bytes bool
}

// Unsupported is an expression that Go's engine (RE2 syntax, linear in time) cannot say.
type Unsupported struct{ Pattern, Reason string }

// Error is the reason.
func (u *Unsupported) Error() string { return "pattern " + u.Pattern + ": " + u.Reason }

// Compile makes the fingerprint ready. The error is an *Unsupported.
func (f Fingerprint) Compile() (*Pattern, error) {
	expr, high, err := translate(f.Pattern)
	if err != nil {
		return nil, &Unsupported{f.Pattern, err.Error()}
	}
	// In Ruby ^ and $ are always those of a line; its MULTILINE is our "s".
	flags := "m"
	for _, flag := range f.Flags {
		switch flag {
		case "REG_ICASE", "IGNORECASE":
			flags += "i"
		case "REG_DOT_NEWLINE", "REG_MULTILINE", "REG_LINE_ANY_CRLF":
			if !strings.Contains(flags, "s") {
				flags += "s"
			}
		default:
			return nil, &Unsupported{f.Pattern, "the flag " + flag + " is not known"}
		}
	}
	re, err := regexp.Compile("(?" + flags + ")" + expr)
	if err != nil {
		return nil, &Unsupported{f.Pattern, err.Error()}
	}
	for _, p := range f.Params {
		if p.Pos > re.NumSubexp() {
			return nil, &Unsupported{f.Pattern, fmt.Sprintf("%s is group %d of %d", p.Name, p.Pos, re.NumSubexp())}
		}
	}
	return &Pattern{f, re, high}, nil
}

// Expr is the expression in Go's syntax.
func (p *Pattern) Expr() string { return p.re.String() }

// Matches says whether a text matches; it costs less than Match.
func (p *Pattern) Matches(text string) bool {
	if p.bytes {
		text = fromLatin1(text)
	}
	return p.re.MatchString(text)
}

// Match returns the fields that a text gives, false when it does not match.
func (p *Pattern) Match(text string) (map[string]string, bool) {
	if p.bytes {
		text = fromLatin1(text)
	}
	m := p.re.FindStringSubmatchIndex(text)
	if m == nil {
		return nil, false
	}
	out := make(map[string]string, len(p.Params))
	for _, q := range p.Params {
		if q.Pos == 0 {
			continue
		}
		if i := 2 * q.Pos; m[i] >= 0 && m[i+1] > m[i] {
			v := text[m[i]:m[i+1]]
			if p.bytes {
				v = toLatin1(v)
			}
			out[q.Name] = clip(v)
		}
	}
	for _, q := range p.Params {
		if q.Pos != 0 {
			continue
		}
		if v, ok := interpolate(q, out); ok {
			out[q.Name] = v
		}
	}
	for name := range out {
		if strings.HasPrefix(name, "_tmp.") {
			delete(out, name)
		}
	}
	return out, true
}

// interpolate fills in {name}. A field that was not caught leaves a version of a
// CPE name as "-", as Recog has it, and drops every other value.
func interpolate(q Param, have map[string]string) (string, bool) {
	var b strings.Builder
	rest := q.Value
	for {
		i := strings.IndexByte(rest, '{')
		end := strings.IndexByte(rest[max(i, 0):], '}')
		if i < 0 || end < 0 {
			b.WriteString(rest)
			return clip(b.String()), true
		}
		name := rest[i+1 : i+end]
		b.WriteString(rest[:i])
		v, ok := have[name]
		if !ok && !strings.HasSuffix(q.Name, ".cpe23") {
			return "", false
		}
		if !ok {
			v = "-"
		}
		b.WriteString(v)
		rest = rest[i+end+1:]
	}
}

func clip(s string) string {
	if len(s) <= maxField {
		return s
	}
	n := maxField
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// translate rewrites what Ruby (Onigmo, doc/RE) and Go's syntax write
// differently. high says that the expression names bytes above 0x7F.
func translate(s string) (out string, high bool, err error) {
	var b strings.Builder
	class := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			piece, n, err := escape(s[i:], class > 0)
			if err != nil {
				return "", false, err
			}
			high = high || len(piece) == 4 && piece[1] == 'x' && piece[2] >= '8'
			b.WriteString(piece)
			i += n - 1
		case c == '[' && class == 0:
			class = 1
			b.WriteByte(c)
			if strings.HasPrefix(s[i+1:], "^") { // a "]" that follows is literal in both
				b.WriteByte('^')
				i++
			}
		case c == '[' && strings.HasPrefix(s[i:], "[:"):
			end := strings.Index(s[i:], ":]")
			if end < 0 {
				return "", false, fmt.Errorf("a POSIX class without an end")
			}
			b.WriteString(s[i : i+end+2])
			i += end + 1
		case c == '[':
			b.WriteString(`\[`)
		case c == ']' && class > 0:
			class = 0
			b.WriteByte(c)
		case c == '&' && class > 0 && strings.HasPrefix(s[i:], "&&"):
			return "", false, fmt.Errorf("an intersection of classes")
		case c == '(' && class == 0 && strings.HasPrefix(s[i:], "(?"):
			piece, n, err := group(s[i:])
			if err != nil {
				return "", false, err
			}
			b.WriteString(piece)
			i += n - 1
		case c == '+' && class == 0 && i > 0 && strings.IndexByte("+*?", s[i-1]) >= 0 && (i < 2 || s[i-2] != '\\'):
			return "", false, fmt.Errorf("a possessive quantifier")
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), high, nil
}

// escape rewrites one escape, of which n bytes are read.
func escape(s string, class bool) (piece string, n int, err error) {
	switch c := s[1]; c {
	case 'h':
		if class {
			return `0-9A-Fa-f`, 2, nil
		}
		return `[0-9A-Fa-f]`, 2, nil
	case 'H':
		if class {
			return "", 0, fmt.Errorf(`\H in a class`)
		}
		return `[^0-9A-Fa-f]`, 2, nil
	case 'Z':
		return `(?:\n?\z)`, 2, nil
	case 'e':
		return `\x1B`, 2, nil
	case 'G', 'K', 'R', 'X', 'g', 'k', 'y', 'Y':
		return "", 0, fmt.Errorf(`\%c`, c)
	case '0':
		return `\x00`, 2, nil
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return "", 0, fmt.Errorf("a back reference")
	case 'x':
		if len(s) >= 4 && isHex(s[2]) && isHex(s[3]) {
			return s[:4], 4, nil
		}
		if len(s) >= 3 && isHex(s[2]) {
			return `\x0` + s[2:3], 3, nil
		}
		return s[:2], 2, nil
	default:
		if c == '_' || c >= 0x80 || c == '"' || c == '\'' || c == '/' || c == '<' || c == '>' || c == ' ' || c == '#' || c == '%' || c == '&' || c == '@' || c == '!' || c == ',' || c == ';' || c == ':' || c == '=' || c == '~' || c == '`' {
			return regexp.QuoteMeta(s[1:2]), 2, nil
		}
		return s[:2], 2, nil
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// group rewrites the opening "(?..." of a group, of which n bytes are read.
func group(s string) (piece string, n int, err error) {
	switch {
	case strings.HasPrefix(s, "(?="), strings.HasPrefix(s, "(?!"):
		return "", 0, fmt.Errorf("a look-ahead")
	case strings.HasPrefix(s, "(?<="), strings.HasPrefix(s, "(?<!"):
		return "", 0, fmt.Errorf("a look-behind")
	case strings.HasPrefix(s, "(?>"):
		return "", 0, fmt.Errorf("an atomic group")
	case strings.HasPrefix(s, "(?<"), strings.HasPrefix(s, "(?:"):
		return s[:3], 3, nil
	case strings.HasPrefix(s, "(?("):
		return "", 0, fmt.Errorf("a condition")
	case strings.HasPrefix(s, "(?#"):
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return "", 0, fmt.Errorf("a comment without an end")
		}
		return "", end + 1, nil
	}
	end := strings.IndexAny(s, ":)")
	if end < 0 {
		return "", 0, fmt.Errorf("a group without an end")
	}
	flags := []byte(s[2:end])
	for i, c := range flags {
		switch c {
		case 'm':
			flags[i] = 's'
		case 'i', '-':
		default:
			return "", 0, fmt.Errorf("the flag %q", c)
		}
	}
	if slices.Equal(flags, []byte("-")) {
		flags = nil
	}
	return "(?" + string(flags) + s[end:end+1], end + 1, nil
}

// fromLatin1 turns each byte into the rune of its number.
func fromLatin1(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return string(b)
}

func toLatin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}
