package config

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"inlay/internal/hint"
	"inlay/internal/trust"
)

// fields are the keys of a mapping, each with what takes its value. They are
// the one list of what may be configured.
type fields map[string]func(ast.Node) error

// fields returns the keys of the configuration.
func (c *Config) fields(d *document) fields {
	known := c.shared(d)
	c.Layering.add(d, known)
	return known
}

// shared returns those keys that count in a cloud-config, too.
func (c *Config) shared(d *document) fields {
	return fields{
		"trust":  func(n ast.Node) error { return d.mapping(n, "trust", c.Trust.fields(d)) },
		"policy": d.policy(&c.Policy),
	}
}

func (t *Trust) fields(d *document) fields {
	return fields{
		"certificates": d.each(d.certificate(&t.Certificates)),
		"folders":      d.each(d.path(&t.Folders)),
		"firmware":     d.truth(&t.Firmware),
		"vendor_cas":   d.truth(&t.VendorCAs),
		"chains":       d.truth(&t.Chains),
		"fingerprints": d.each(d.fingerprint(&t.Fingerprints)),
		"deny_lists":   d.each(d.path(&t.DenyLists)),
	}
}

func (d *document) policy(to **trust.Policy) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		p, err := trust.ParsePolicy(text)
		if err != nil {
			return d.at(n, err)
		}
		*to = &p
		return nil
	}
}

func (d *document) certificate(to *[]Certificate) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		c := Certificate{Origin: fmt.Sprintf("configuration %s:%d", d.name, line(n))}
		if !strings.Contains(text, "-----") {
			if c.File, err = cleanPath(text); err != nil {
				return d.at(n, hint.Default(err, "give the path of a PEM file, or the PEM text itself as a block that begins with |"))
			}
		} else if c.PEM, err = checkPEM(text); err != nil {
			return d.at(n, err)
		}
		*to = append(*to, c)
		return nil
	}
}

// checkPEM looks at the frame only; what is inside is judged with all other
// certificates.
func checkPEM(text string) ([]byte, error) {
	rest := []byte(text)
	for found := 0; ; found++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && (found == 0 || bytes.Contains(rest, []byte("-----"))):
			return nil, hint.Wrap(errors.New("this is not whole PEM text"),
				"write a block that begins with | on the line of the dash, with each line of the PEM file indented below it")
		case block == nil:
			return []byte(text), nil
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, hint.Wrap(errors.New("this is a private key, and whoever reads this file has it now"),
				"make a new key, and give the certificate here")
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("this is a %q and not a certificate", block.Type)
		}
	}
}

func (d *document) path(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		if text, err = cleanPath(text); err != nil {
			return d.at(n, err)
		}
		*to = append(*to, text)
		return nil
	}
}

// cleanPath takes absolute paths only: there is no folder that others would be
// relative to.
func cleanPath(text string) (string, error) {
	switch {
	case !path.IsAbs(text):
		return "", fmt.Errorf("the path %q is not absolute", text)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "", fmt.Errorf("the path %q holds a control character", text)
	case strings.Contains("/"+text+"/", "/../"):
		return "", fmt.Errorf("the path %q holds two dots", text)
	}
	return path.Clean(text), nil
}

func (d *document) fingerprint(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.digits(n)
		if err != nil {
			return err
		}
		if b, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err != nil || len(b) != 32 {
			return d.at(n, hint.Wrap(fmt.Errorf("the fingerprint %q is not the 64 hexadecimal digits of a SHA-256", text),
				"print one with openssl x509 -in FILE -noout -fingerprint -sha256"))
		}
		*to = append(*to, text)
		return nil
	}
}
