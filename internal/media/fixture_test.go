package media_test

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sortedLines returns the lines of a text, sorted, without empty ones.
func sortedLines(text string) []string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	slices.Sort(lines)
	return lines
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
