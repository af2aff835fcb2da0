package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// generated are the folders in which every file is ours to write and remove.
func generated() []string { return []string{"cli", "completions", "man"} }

// write makes the files below dir and removes those that no command has any more.
func write(dir string, files map[string][]byte) error {
	for _, folder := range generated() {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
	}
	stale, err := differences(dir, files)
	if err != nil {
		return err
	}
	for _, name := range stale {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if text, ok := files[name]; ok {
			err = os.WriteFile(file, text, 0o644)
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare fails if the files below dir are not exactly files.
func compare(dir string, files map[string][]byte) error {
	stale, err := differences(dir, files)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		return fmt.Errorf("stale below %q: %q; run `make docs` and commit what it writes", dir, stale)
	}
	return nil
}

// differences names, in order, what is missing, other than it should be, or left over.
func differences(dir string, files map[string][]byte) ([]string, error) {
	stale := map[string]bool{}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !bytes.Equal(got, want) {
			stale[name] = true
		}
	}
	for _, folder := range generated() {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			name := folder + "/" + entry.Name()
			if _, ok := files[name]; !ok {
				stale[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(stale)), nil
}
