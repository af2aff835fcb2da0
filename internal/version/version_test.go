package version_test

import (
	"strings"
	"testing"

	"inlay/internal/version"
)

// example is a pair of versions and the order that systemd gives them.
type example struct {
	a, relation, b string
}

// order is what Compare must say of the example.
func (e example) order() int { return strings.Index("<=>", e.relation) - 1 }

// examples are those of UAPI.10, and what was measured on systemd 262.
func examples() []example {
	list := []example{
		{"11", "=", "11"},
		{"systemd-123", "=", "systemd-123"},
		{"bar-123", "<", "foo-123"},
		{"123a", ">", "123"},
		{"123.a", ">", "123"},
		{"123.a", "<", "123.b"},
		{"123a", ">", "123.a"},
		{"11α", "=", "11β"},
		{"B", "<", "a"},
		{"", "<", "0"},
		{"0.", ">", "0"},
		{"0.0", ">", "0"},
		{"0", ">", "~"},
		{"", ">", "~"},
		{"1_", "=", "1"},
		{"_1", "=", "1"},
		{"1_", "<", "1.2"},
		{"1_2_3", ">", "1.3.3"},
		{"1+", "=", "1"},
		{"+1", "=", "1"},
		{"1+", "<", "1.2"},
		{"1+2+3", ">", "1.3.3"},
		// Not in the specification, or against it.
		{"a", "<", "0"},
		{"1.a", "<", "1.0"},
		{"123.", "<", "123.0"},
		{"1-", ">", "1"},
		{"1^", ">", "1"},
		{"1~", "<", "1"},
		{"1.~", "<", "1."},
		{"1..1", "<", "1.1"},
		{"1-1", "<", "1.1"},
		{"1^1", ">", "1-1"},
		{"1~~", ">", "1~"},
		{"1~a", "<", "1~1"},
		{"A_1", "=", "A1"},
		{"v1.2", "<", "1.2"},
		{"1.2.3-rc1", ">", "1.2.3"},
		{"1.2.3+k3s1", "<", "1.2.3+k3s2"},
		{"10_5", "<", "105"},
		{"0", "=", "00"},
		{"1.0a", ">", "1.a"},
		{"", "=", ""},
		{"abc", "<", "abcd"},
		{"009", "<", "10"},
		{"~_1", "<", "~1"},
		{"~_", ">", "~"},
		{"-_", "=", "-"},
		{"~-^.1", "=", "~-^.1"},
		{"~-^.1", "<", "~-^.2"},
		{"99999999999999999999999", "<", "100000000000000000000000"},
	}
	// Each is older than all that follow.
	chain := []string{
		"122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1",
	}
	for i, older := range chain {
		for _, newer := range chain[i+1:] {
			list = append(list, example{older, "<", newer})
		}
	}
	return list
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.a+e.relation+e.b, func(t *testing.T) {
			t.Parallel()
			if got := version.Compare(e.a, e.b); got != e.order() {
				t.Errorf("Compare(%q, %q) = %d, want %d", e.a, e.b, got, e.order())
			}
			if got := version.Compare(e.b, e.a); got != -e.order() {
				t.Errorf("Compare(%q, %q) = %d, want %d", e.b, e.a, got, -e.order())
			}
		})
	}
}

// TestCompareBeyondASCII holds the corner in which systemd's answer depends on
// the machine to one answer.
func TestCompareBeyondASCII(t *testing.T) {
	t.Parallel()
	for _, stray := range []string{"é", "\xff", "_", "\x00"} {
		if got := version.Compare("1~"+stray, "1~"); got != 1 {
			t.Errorf("Compare(%q, %q) = %d, want 1", "1~"+stray, "1~", got)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "1.2-3~rc^AZaz09": true, "1_2": false, "1+2": false, "1 2": false, "é": false, "\xff": false, "a\x00": false, "š": false,
	} {
		if got := version.Clean(text); got != want {
			t.Errorf("Clean(%q) = %v, want %v", text, got, want)
		}
	}
}

// FuzzCompare checks that Compare orders all texts, valid or not.
func FuzzCompare(f *testing.F) {
	for i, e := range examples() {
		f.Add(e.a, e.b, examples()[i/2].a)
	}
	f.Add("\xff~\x00", "~\x80é", "~")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, text := range []string{a, b, c} {
			if got := version.Compare(text, text); got != 0 {
				t.Fatalf("Compare(%q, itself) = %d", text, got)
			}
		}
		ab, bc, ac := version.Compare(a, b), version.Compare(b, c), version.Compare(a, c)
		if ba := version.Compare(b, a); ba != -ab {
			t.Fatalf("Compare(%q, %q) = %d, but the other way round %d", a, b, ab, ba)
		}
		if ab < -1 || ab > 1 {
			t.Fatalf("Compare(%q, %q) = %d", a, b, ab)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Fatalf("%q is not newer than %q nor that than %q, but %q is newer than %q", a, b, c, a, c)
		}
	})
}
