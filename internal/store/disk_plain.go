//go:build !crash

package store

// killer ends nobody: it does in a program built with the tag "crash".
func killer() func(call, name string) error { return nil }
