package hint_test

import (
	"slices"
	"testing"

	"inlay/internal/hint"
)

func TestEdits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b string
		want []int
	}{
		"nothing of nothing": {"", "", []int{0}},
		"from nothing":       {"", "abc", []int{0, 1, 2, 3}},
		"to nothing":         {"abc", "", []int{3}},
		"the same":           {"abc", "abc", []int{3, 2, 1, 0}},
		"one changed":        {"abc", "axc", []int{3, 2, 2, 1}},
		"a beginning":        {"k3s", "k3s_1", []int{3, 2, 1, 0, 1, 2}},
	} {
		if got := hint.Edits(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
