package layering_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDifferencesAreDocumented: the document has a heading for each, and no other.
func TestDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/layering-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, found := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(string(text), -1) {
		headings = append(headings, found[1])
	}
	want := differences()
	slices.Sort(want)
	slices.Sort(headings)
	if diff := cmp.Diff(want, headings); diff != "" {
		t.Errorf("headings (-differences +document):\n%s", diff)
	}
}
