package probe

import (
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// What a page tells, read with expressions and not with a parser: the pages
// are broken, and no more is needed.
var (
	titleTag    = regexp.MustCompile(`(?is)<title(?:\s[^>]*)?>(.*?)</title`)
	metaTag     = regexp.MustCompile(`(?is)<meta\s[^>]*>`)
	linkTag     = regexp.MustCompile(`(?is)<link\s[^>]*>`)
	attribute   = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
	metaRefresh = regexp.MustCompile(`(?is)<meta\s[^>]*http-equiv\s*=\s*["']?refresh["']?[^>]*content\s*=\s*["']?\s*\d+\s*;\s*url\s*=\s*["']?([^"'>\s]+)`)
	spaces      = regexp.MustCompile(`\s+`)
)

// maxTitle bounds a title, in runes.
const maxTitle = 200

// titleOf is the title of a page, fit to keep and to match.
func titleOf(body []byte) string {
	m := titleTag.FindSubmatch(body)
	if m == nil {
		return ""
	}
	s := string(m[1][:min(len(m[1]), 4096)])
	if !utf8.ValidString(s) {
		s = latin1(s)
	}
	s = spaces.ReplaceAllString(strings.TrimSpace(html.UnescapeString(s)), " ")
	s = Banner([]byte(s), 4*maxTitle)
	if r := []rune(s); len(r) > maxTitle {
		s = string(r[:maxTitle])
	}
	return s
}

// latin1 reads text that is not UTF-8 as ISO 8859-1, as old pages are.
func latin1(s string) string {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return string(b)
}

// generators are what the page says it was made with.
func generators(body []byte) []string {
	var out []string
	for _, tag := range metaTag.FindAll(body, 64) {
		a := attributes(tag)
		if strings.EqualFold(a["name"], "generator") && a["content"] != "" {
			out = append(out, a["content"])
		}
	}
	return out
}

// iconOf is the address of a page's icon, "" when it names none.
func iconOf(body []byte) string {
	for _, tag := range linkTag.FindAll(body, 64) {
		a := attributes(tag)
		for rel := range strings.FieldsSeq(strings.ToLower(a["rel"])) {
			if rel == "icon" && a["href"] != "" {
				return a["href"]
			}
		}
	}
	return ""
}

func attributes(tag []byte) map[string]string {
	out := map[string]string{}
	for _, m := range attribute.FindAllSubmatch(tag, 16) {
		name := strings.ToLower(string(m[1]))
		if _, ok := out[name]; !ok {
			out[name] = strings.TrimSpace(html.UnescapeString(string(m[2]) + string(m[3]) + string(m[4])))
		}
	}
	return out
}
