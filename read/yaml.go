package read

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// maxYAML bounds a YAML document: its tree takes hundreds of times its bytes.
const maxYAML = 256 << 10

// maxYAMLDepth bounds its nesting before the parser sees it.
const maxYAMLDepth = 64

// readYAML turns one YAML document of strings, lists and maps into JSON. Every
// scalar becomes the string that was written, so "no", 1.10 and 0o17 stay what
// they are. Anchors, aliases, tags, merge keys and duplicate keys are refused.
func readYAML(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxYAML+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxYAML {
		return nil, vedette.Invalid("byte %d: a YAML document is larger than %d bytes", maxYAML, maxYAML)
	}
	if err := shallow(b); err != nil {
		return nil, err
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, yamlFault(err)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, vedette.Invalid("%d YAML documents where one is expected", len(f.Docs))
	}
	out, err := appendNode(nil, f.Docs[0].Body)
	if err != nil {
		return nil, err
	}
	if err := safe.NewChecker(safe.Limits{}).Check(out); err != nil {
		return nil, err
	}
	return out, nil
}

// shallow refuses nesting that would exhaust the stack of a recursive parser.
// It does not know quotes: it may count more than there is, never less.
func shallow(b []byte) error {
	flow, line := 0, 1
	for l := range bytes.Lines(b) {
		indent, dashes := 0, 0
	scan:
		for i, c := range l {
			switch {
			case c == ' ' || c == '\t':
				indent++
			case (c == '-' || c == '?') && i+1 < len(l) && (l[i+1] == ' ' || l[i+1] == '\t' || l[i+1] == '\n'):
				dashes++
			default:
				break scan
			}
		}
		for _, c := range l {
			switch c {
			case '[', '{':
				flow++
			case ']', '}':
				flow = max(0, flow-1)
			}
		}
		if flow > maxYAMLDepth || dashes > maxYAMLDepth || indent > 8*maxYAMLDepth {
			return vedette.Invalid("line %d: nested deeper than %d", line, maxYAMLDepth)
		}
		line++
	}
	return nil
}

func yamlFault(err error) error {
	var f interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &f) && f.GetToken() != nil && f.GetToken().Position != nil {
		return vedette.Invalid("line %d: %s", f.GetToken().Position.Line, safe.Reason(errors.New(f.GetMessage())))
	}
	return refused(err)
}

func refuseNode(n ast.Node, what string) error {
	line := 0
	if t := n.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	return vedette.Invalid("line %d: %s is not read", line, what)
}

// appendNode writes a node as JSON.
func appendNode(b []byte, n ast.Node) ([]byte, error) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return append(b, "null"...), nil
	case *ast.MappingNode:
		return appendMap(b, n.Values)
	case *ast.MappingValueNode:
		return appendMap(b, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		var err error
		b = append(b, '[')
		for i, v := range n.Values {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendNode(b, v); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case *ast.StringNode:
		return appendString(b, n, n.Value)
	case *ast.LiteralNode:
		return appendString(b, n, n.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return appendString(b, n, n.GetToken().Value)
	case *ast.AnchorNode, *ast.AliasNode:
		return nil, refuseNode(n, "an anchor or alias")
	case *ast.TagNode:
		return nil, refuseNode(n, "a tag")
	}
	return nil, refuseNode(n, "this YAML feature")
}

func appendMap(b []byte, values []*ast.MappingValueNode) ([]byte, error) {
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		switch v.Key.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		case *ast.MergeKeyNode:
			return nil, refuseNode(v.Key, "a merge key")
		case *ast.AnchorNode, *ast.AliasNode:
			return nil, refuseNode(v.Key, "an anchor or alias")
		default:
			return nil, refuseNode(v.Key, "a key that is no plain text")
		}
		var err error
		if b, err = appendString(b, v.Key, v.Key.GetToken().Value); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = appendNode(b, v.Value); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendString(b []byte, n ast.Node, s string) ([]byte, error) {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		return nil, refuseNode(n, "text that is not UTF-8")
	}
	return out, nil
}
