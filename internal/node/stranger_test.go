package node_test

import (
	"slices"
	"testing"

	"inlay/internal/store"
	"inlay/test/sample"
)

// TestStranger tells an extension from another one of its name that is merged.
func TestStranger(t *testing.T) {
	t.Parallel()
	for place, isOurs := range map[string]bool{
		"":                                      true, // not known
		"/run/extensions/tool.sysext.raw":       true,
		"/run/extensions/tool.raw":              true, // as it was linked before
		"/run/extensions/tool":                  false,
		"/run/extensions/tool.raw.v/tool_1.raw": false,
		"/etc/extensions/tool.sysext.raw":       false,
		"/var/lib/extensions/tool":              false,
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool"})
			m.merger.places = map[string]string{"tool": place}
			r, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
			must(t, err)
			e := m.entry(t, "tool")
			s, err := m.Status(t.Context())
			must(t, err)
			if isOurs {
				if !e.Merged || len(r.Notes)+len(s.Others) > 0 || s.Extensions[0].Why != "" {
					t.Errorf("%+v, notes %q, others %q", e, r.Notes, s.Others)
				}
				return
			}
			if e.Merged || e.Guarantee != "" || !slices.Equal(s.Others, []string{"tool"}) {
				t.Errorf("%+v, others %q", e, s.Others)
			}
			if want := "not merged: another extension of this name is merged: " + place; s.Extensions[0].Why != want {
				t.Errorf("got %q, want %q", s.Extensions[0].Why, want)
			}
			if want := "tool is enabled and was not merged: " + place + " has its name and comes first"; !slices.Equal(r.Notes, []string{want}) {
				t.Errorf("notes %q", r.Notes)
			}
		})
	}
}
