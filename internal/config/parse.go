package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"inlay/internal/hint"
)

const (
	// maxFile bounds a file, in bytes: a certificate takes 2 KiB.
	maxFile = 256 << 10
	// maxKeys bounds the keys of a file: the parser's time grows with their
	// square (10 ms for as many as these).
	maxKeys = 512
	// maxListKeys bounds those of a list of extensions, which somebody wrote who
	// waits for them to be built.
	maxListKeys = 4096
	// maxDepth bounds how deep values lie in each other, and how many dashes,
	// question marks, anchors and tags stand in one line: the parser goes as deep.
	maxDepth = 32
)

// Parse reads one file, which name stands for in errors: a configuration of
// ours, or a #cloud-config, of which only install.trust and install.policy
// count. An empty file configures nothing. All errors have a place: see [Error].
func Parse(name string, text []byte) (*Config, error) {
	c := new(Config)
	read := parseOwn
	if IsCloudConfig(text) {
		read = parseCloud
	}
	ours, err := read(c, name, text)
	if err != nil {
		return nil, err
	}
	if ours {
		c.Sources = []string{name}
	}
	return c, nil
}

// parseOwn reads a file of which everything is ours.
func parseOwn(c *Config, name string, text []byte) (bool, error) {
	d := newDocument(name, text)
	if err := d.check(len(text), maxFile); err != nil {
		return true, err
	}
	if err := d.indented(); err != nil {
		return true, err
	}
	body, err := d.parse(d.lines)
	if body == nil || err != nil {
		return true, err
	}
	return true, d.mapping(body, "", c.fields(d))
}

// indented refuses tabs where YAML takes only spaces.
func (d *document) indented() error {
	for i, line := range d.lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && strings.TrimSpace(line) != "" {
			return d.atPlace(i+1, tab+1, hint.Wrap(errors.New("a tab indents this line, and YAML takes only spaces"), "put spaces in its place"))
		}
	}
	return nil
}

// check refuses what no YAML file of any kind holds, so that the parser only
// ever sees text.
func (d *document) check(size, limit int) error {
	if size > limit {
		return d.atPlace(1, 1, fmt.Errorf("%d bytes are to be read, and %d are the limit", size, limit))
	}
	for i, line := range d.lines {
		if !utf8.ValidString(line) {
			return d.atPlace(i+1, 1, hint.Wrap(errors.New("this line is not UTF-8"), "save the file as UTF-8"))
		}
		if column := strings.IndexByte(line, 0); column >= 0 {
			return d.atPlace(i+1, column+1, errors.New("a NUL byte"))
		}
		if column := strings.IndexByte(line, '\r'); column >= 0 { // for some, a line ends here
			return d.atPlace(i+1, column+1, errors.New("a carriage return within a line"))
		}
	}
	return nil
}

// parse returns the one value of lines, nil if there is none.
func (d *document) parse(lines []string) (body ast.Node, err error) {
	// The parser has met odd input that it did not expect.
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, d.atPlace(1, 1, fmt.Errorf("the YAML parser gave up: %v", r))
		}
	}()
	tokens := lexer.Tokenize(strings.Join(lines, "\n"))
	if err := d.bound(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // we say better where the first one is
	if err != nil {
		var at interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &at) {
			return nil, d.atToken(at.GetToken(), hint.Wrap(errors.New("not YAML: "+at.GetMessage()), "look at the indentation, the colons and the quotes there and in the line before"))
		}
		return nil, d.atPlace(1, 1, fmt.Errorf("not YAML: %w", err))
	}
	for i, doc := range file.Docs {
		if i > 0 {
			return nil, d.atToken(doc.Start, hint.Wrap(errors.New("a second document begins here"), "put all keys into one document, without ---"))
		}
		body = doc.Body
	}
	return body, nil
}

// bound refuses what the parser would take too long or too deep for.
func (d *document) bound(tokens token.Tokens) error {
	keys, depth, marks, at := 0, 0, 0, 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.MappingValueType:
			keys++
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.AliasType, token.TagType:
			if tk.Position.Line != at {
				at, marks = tk.Position.Line, 0
			}
			marks++
		default:
		}
		if keys > d.keys {
			return d.atToken(tk, fmt.Errorf("more than %d keys", d.keys))
		}
		if max(depth, marks) > maxDepth {
			return d.atToken(tk, fmt.Errorf("values lie more than %d deep in each other", maxDepth))
		}
	}
	return nil
}
