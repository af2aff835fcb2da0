package sample

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/internal/extension"
	"inlay/internal/store"
)

// Store makes a machine's store of so many sysexts, each with its record, half
// of them enabled for two profiles, and returns the machine's root. An image is a
// hole of a gigabyte: whoever read it would be noticed.
func Store(t testing.TB, images int) string {
	t.Helper()
	folder := t.TempDir()
	if err := fill(t, folder, images); err != nil {
		t.Fatal(err)
	}
	return folder
}

func fill(t testing.TB, folder string, images int) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	s, err := store.Open(root, extension.Sysext(), store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	unlock, err := s.Lock(t.Context(), 0, "test")
	if err != nil {
		return err
	}
	for i := range images {
		path := filepath.Join(folder, s.Path(), fmt.Sprintf("app%d_%d.%d.sysext.raw", i%50, i/50, i%7))
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
		if err := os.Truncate(path, 1<<30); err != nil {
			return err
		}
	}
	all, err := s.Images()
	if err != nil {
		return err
	}
	for _, im := range all {
		if err := s.Remember(im, record(im.FileName)); err != nil {
			return err
		}
	}
	c, err := s.Enable(all[:len(all)/2], []store.Profile{store.Active, store.Common})
	if err != nil {
		return err
	}
	if err := c.Keep(); err != nil {
		return err
	}
	return unlock()
}

// record is as long as records are.
func record(fileName string) store.Record {
	sum := strings.Repeat("0", 64)
	return store.Record{
		Digest: "sha256:" + sum, Source: "https://example.org/extensions/" + fileName, Fetched: time.Now().UTC(),
		Verdict: &store.Summary{
			Result: "good", Protection: "signed", Signer: "CN=Example,O=Example", SignerFingerprint: sum,
			Anchor: "/etc/verity.d/example.crt", RootHash: sum, Architecture: "x86-64", Kind: "sysext",
		},
	}
}
