package config

import (
	"maps"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Keys returns all keys there are, those of trust as trust.KEY.
func Keys() []string {
	var c Config
	keys := slices.Collect(maps.Keys(c.fields(nil)))
	for key := range c.Trust.fields(nil) {
		keys = append(keys, "trust."+key)
	}
	slices.Sort(keys)
	return keys
}

// FullParse reads install.trust and install.policy as a YAML parser finds them
// that reads all of the text, nil if that does not take it. An error beside a
// configuration is about what they are.
func FullParse(text []byte) (*Config, error) {
	d := newDocument("f", text)
	body, err := d.parse(d.lines)
	if err != nil {
		return nil, err
	}
	c := new(Config)
	install := child(body, "install")
	for name, take := range c.shared(d) {
		if value := child(install, name); value != nil {
			c.Sources = []string{"f"}
			if err := take(value); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

func child(n ast.Node, name string) ast.Node {
	pairs, ok := n.(ast.MapNode)
	if !ok {
		return nil
	}
	for i := pairs.MapRange(); i.Next(); {
		s, ok := i.Key().(*ast.StringNode)
		if ok && s.Value == name {
			return i.Value()
		}
	}
	return nil
}
