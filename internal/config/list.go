package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"inlay/internal/hint"
)

// Extension is one entry of a list of extensions to build: the words of the
// command line for one extension, not yet looked at. What an entry does not say
// it has from the defaults of the list.
type Extension struct {
	Name, Source        string
	Kind, Layers, Owner string
	Architectures       []string
	IncludePaths        []string
	Release             []string // KEY=VALUE
	EnableUnits         []string
	ServiceReload       bool
	AllowOverlayMarkers bool
	Contexts            string // a file_contexts list
	FileSystem          string
	Compression         string
	MinKernel           string
	Seed                string
	Output              string
	PrivateKey          string
	Certificate         string
	Signer              string
	DeferSignature      bool

	place func(error) *Error
}

// At says that err is about this entry.
func (e *Extension) At(err error) error { return e.place(err) }

// ParseList reads a list of extensions, which name stands for in errors. It is as
// strict as Parse, and an empty list is an error, too.
func ParseList(name string, text []byte) ([]Extension, error) {
	d := newDocument(name, text)
	d.keys = maxListKeys
	if err := d.check(len(text), maxFile); err != nil {
		return nil, err
	}
	if err := d.indented(); err != nil {
		return nil, err
	}
	body, err := d.parse(d.lines)
	if err != nil {
		return nil, err
	}
	var defaults, entries ast.Node
	keep := func(to *ast.Node) func(ast.Node) error {
		return func(n ast.Node) error {
			*to = n
			return nil
		}
	}
	if body != nil {
		if err := d.mapping(body, "the list", fields{"defaults": keep(&defaults), "extensions": keep(&entries)}); err != nil {
			return nil, err
		}
	}
	var common Extension
	if defaults != nil {
		if err := d.mapping(defaults, "defaults", common.common(d)); err != nil {
			return nil, err
		}
	}
	var list []Extension
	if entries != nil {
		err = d.each(func(n ast.Node) error {
			e, err := d.extension(n, common)
			list = append(list, e)
			return err
		})(entries)
	}
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, d.atPlace(1, 1, hint.Wrap(errors.New("the list names no extension"), "begin with extensions: and below it - name: and source:"))
	}
	return list, nil
}

// extension takes one entry on top of the defaults.
func (d *document) extension(n ast.Node, e Extension) (Extension, error) {
	e.place = func(err error) *Error {
		if at, ok := d.at(n, err).(*Error); ok { //nolint:errorlint // made one line above
			return at
		}
		return &Error{File: d.name, Line: 1, Column: 1, Err: err}
	}
	// The defaults' lists are not this entry's to change.
	for _, list := range []*[]string{&e.Architectures, &e.IncludePaths, &e.Release, &e.EnableUnits} {
		*list = slices.Clone(*list)
	}
	known := e.common(d)
	known["name"], known["source"] = d.line(&e.Name), d.line(&e.Source)
	if err := d.mapping(n, "an extension", known); err != nil {
		return e, err
	}
	for _, must := range [][2]string{{"name", e.Name}, {"source", e.Source}} {
		if must[1] == "" {
			return e, e.At(hint.Wrap(fmt.Errorf("this extension has no %s", must[0]), "give each extension a name and a source"))
		}
	}
	return e, nil
}

// common are the keys that both an entry and the defaults take.
func (e *Extension) common(d *document) fields {
	return fields{
		"kind":                  d.line(&e.Kind),
		"arch":                  d.words(&e.Architectures),
		"layers":                d.line(&e.Layers),
		"include_paths":         d.words(&e.IncludePaths),
		"release":               d.words(&e.Release),
		"service_reload":        d.flag(&e.ServiceReload),
		"enable_units":          d.words(&e.EnableUnits),
		"allow_overlay_markers": d.flag(&e.AllowOverlayMarkers),
		"owner":                 d.line(&e.Owner),
		"selinux_contexts":      d.line(&e.Contexts),
		"filesystem":            d.line(&e.FileSystem),
		"compression":           d.line(&e.Compression),
		"min_kernel":            d.line(&e.MinKernel),
		"seed":                  d.line(&e.Seed),
		"output":                d.line(&e.Output),
		"private_key":           d.line(&e.PrivateKey),
		"certificate":           d.line(&e.Certificate),
		"signer":                d.line(&e.Signer),
		"defer_signature":       d.flag(&e.DeferSignature),
	}
}

// line takes a text, or a number as it is written: layers and kernels look like one.
func (d *document) line(to *string) func(ast.Node) error {
	return func(n ast.Node) (err error) {
		*to, err = d.digits(n)
		return err
	}
}

// words takes one text, or a list of them, in place of what was there.
func (d *document) words(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		*to = nil
		add := func(n ast.Node) error {
			text, err := d.digits(n)
			*to = append(*to, text)
			return err
		}
		if _, list := n.(*ast.SequenceNode); list {
			return d.each(add)(n)
		}
		return add(n)
	}
}

func (d *document) flag(to *bool) func(ast.Node) error {
	return func(n ast.Node) error {
		var value *bool
		if err := d.truth(&value)(n); err != nil {
			return err
		}
		*to = *value
		return nil
	}
}
