package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"inlay/internal/hint"
)

// document is the YAML of one file, or what of a file is ours.
type document struct {
	name  string
	lines []string
	keys  int // at most
}

// newDocument takes text apart. Lines may end as DOS ends them: the parser
// would count those wrong.
func newDocument(name string, text []byte) *document {
	return &document{name: name, keys: maxKeys, lines: strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")}
}

// at says where err is.
func (d *document) at(n ast.Node, err error) error { return d.atToken(n.GetToken(), err) }

func (d *document) atToken(tk *token.Token, err error) error {
	if tk == nil || tk.Position == nil {
		return d.atPlace(1, 1, err)
	}
	return d.atPlace(tk.Position.Line, tk.Position.Column, err)
}

func (d *document) atPlace(line, column int, err error) error {
	e := &Error{File: d.name, Line: line, Column: column, Err: err}
	if line >= 1 && line <= len(d.lines) {
		e.Source = d.lines[line-1]
	}
	return e
}

// line returns the line that n begins in, counted from 1.
func line(n ast.Node) int {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 1
}

// plain returns n if it is a value by itself, and nil for the empty value.
// Aliases, tags and anchors are refused: none is needed here, aliases can grow
// without bound, and other readers of the same file may take them differently.
func (d *document) plain(n ast.Node) (ast.Node, error) {
	switch n.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode, *ast.MergeKeyNode:
		return nil, d.at(n, hint.Wrap(errors.New("aliases, anchors and tags are not taken here"), "write the value out"))
	}
	return n, nil
}

// mapping takes the keys of n, which is called where, "" for the whole file. An
// empty value is a mapping without keys: all of it may be commented out.
func (d *document) mapping(n ast.Node, where string, known fields) error {
	n, err := d.plain(n)
	if n == nil || err != nil {
		return err
	}
	pairs, ok := n.(ast.MapNode)
	if !ok {
		if where == "" {
			where = "the configuration"
		}
		return d.at(n, hint.Wrap(fmt.Errorf("%s wants keys with values, and gets %s", where, kind(n)),
			"write lines such as "+slices.Sorted(maps.Keys(known))[0]+": and indent what belongs to them"))
	}
	first := map[string]int{}
	for i := pairs.MapRange(); i.Next(); {
		name, err := d.key(i.Key(), where, known)
		if err != nil {
			return err
		}
		if at, twice := first[name]; twice {
			return d.at(i.Key(), hint.Wrap(fmt.Errorf("the key %q is given twice, first in line %d", name, at), "put both under one key"))
		}
		first[name] = line(i.Key())
		if err := known[name](i.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) key(n ast.MapKeyNode, where string, known fields) (string, error) {
	if _, err := d.plain(n); err != nil {
		return "", err
	}
	name := n.GetToken().Value
	if s, ok := n.(*ast.StringNode); ok {
		name = s.Value
	}
	if _, ok := known[name]; ok {
		return name, nil
	}
	names := slices.Sorted(maps.Keys(known))
	advice := "use one of " + strings.Join(names, ", ")
	if near := nearest(name, names); near != "" {
		advice = fmt.Sprintf("did you mean %q? Known are %s", near, strings.Join(names, ", "))
	}
	if where != "" {
		where = " of " + where
	}
	return "", d.at(n, hint.Wrap(fmt.Errorf("no key%s is called %q", where, name), advice))
}

// each takes a list, and gives its values to take one by one.
func (d *document) each(take func(ast.Node) error) func(ast.Node) error {
	return func(n ast.Node) error {
		n, err := d.plain(n)
		if n == nil || err != nil {
			return err
		}
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return d.at(n, hint.Wrap(fmt.Errorf("a list is wanted, and this is %s", kind(n)),
				"begin each value with a dash on a line of its own"))
		}
		for _, value := range list.Values {
			if err := take(value); err != nil {
				return err
			}
		}
		return nil
	}
}

// text takes a text that is not empty.
func (d *document) text(n ast.Node) (string, error) {
	plain, err := d.plain(n)
	if err != nil {
		return "", err
	}
	switch v := plain.(type) {
	case *ast.StringNode:
		if v.Value != "" {
			return v.Value, nil
		}
	case *ast.LiteralNode:
		if v.Value != nil && v.Value.Value != "" {
			return v.Value.Value, nil
		}
	case nil:
	default:
		return "", d.at(n, hint.Wrap(fmt.Errorf("a text is wanted, and this is %s", kind(n)), "put it between quotes if it is meant as text"))
	}
	return "", d.at(n, hint.Wrap(errors.New("there is no value"), `give one, or remove the line; a value of ~ needs quotes ("~")`))
}

// digits takes a text that may look like a number.
func (d *document) digits(n ast.Node) (string, error) {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, nil
	}
	return d.text(n)
}

func (d *document) truth(to **bool) func(ast.Node) error {
	return func(n ast.Node) error {
		plain, err := d.plain(n)
		if err != nil {
			return err
		}
		v, ok := plain.(*ast.BoolNode)
		if !ok {
			return d.at(n, hint.Wrap(fmt.Errorf("true or false is wanted, and this is %s", kind(n)), "write true or false, without quotes"))
		}
		*to = &v.Value
		return nil
	}
}

// kind names what a value is.
func kind(n ast.Node) string {
	switch v := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.NullNode:
		return "empty"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", shorten(v.Value))
	case *ast.LiteralNode:
		return "a block of text"
	}
	return "something else"
}
