package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/node"
	"inlay/test/sample"
)

// layered is the merger that the program has.
type layered struct{ *layer.Systemd }

func (l layered) Refresh(context.Context, extension.Kind, bool) error {
	return errors.New("a list merges nothing")
}

func (l layered) Seen(ctx context.Context, k extension.Kind) (map[string]node.Seen, error) {
	hierarchies, err := l.Merged(ctx, k)
	seen := map[string]node.Seen{}
	for _, h := range hierarchies {
		for _, name := range h.Extensions {
			seen[name] = node.Seen{Merged: true}
		}
	}
	return seen, err
}

func orFail(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// readSoFar is how many bytes this process has read by system calls.
func readSoFar(tb testing.TB) (n int64) {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/io")
	orFail(tb, err)
	_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	orFail(tb, err)
	return n
}

// BenchmarkList lists a store of 500 images as "inlay sysext list" does, and
// fails if more is read than their records.
func BenchmarkList(b *testing.B) {
	root, err := os.OpenRoot(sample.Store(b, 500))
	orFail(b, err)
	defer root.Close()
	before := readSoFar(b)
	for b.Loop() {
		n, err := node.Open(node.Options{Root: root, Kind: extension.Sysext(), Now: time.Now, Merger: layered{layer.New(root, layer.Options{})}})
		orFail(b, err)
		entries, err := n.List(b.Context(), "")
		orFail(b, err)
		if len(entries) != 500 || entries[0].Digest == "" {
			b.Fatalf("%d entries, the first is %+v", len(entries), entries[0])
		}
		orFail(b, n.Close())
	}
	const record = 4 << 10 // bytes, and more than one of these has
	each := (readSoFar(b) - before) / int64(b.N)
	b.ReportMetric(float64(each), "read-B/op")
	if each > 500*record {
		b.Errorf("a list reads %d bytes: more than the records", each)
	}
}
