package inflate_test

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzReader holds the package to compress/gzip: the same bytes, and the same
// kind of refusal after as many of them, whatever the input, and in whatever
// pieces it comes.
func FuzzReader(f *testing.F) {
	for _, plain := range plains() {
		for _, level := range levels() {
			f.Add(pack(f, plain[:min(len(plain), 5000)], level))
		}
	}
	f.Add(bytes.Repeat(pack(f, []byte("member "), 6), 3))
	f.Add(append(pack(f, []byte("a member"), 6), "rubbish"...))
	f.Add(reachBack())
	f.Fuzz(fuzz)
}

// FuzzDeflate is FuzzReader for what lies between header and trailer, so that no
// mutation is spent on those.
func FuzzDeflate(f *testing.F) {
	for _, plain := range plains() {
		for _, level := range levels() {
			packed := pack(f, plain[:min(len(plain), 5000)], level)
			f.Add(packed[10 : len(packed)-8])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := bits{b: data}
		fuzz(t, b.member(nil))
	})
}

// fuzz compares what is seen of packed where nothing has to be looked at, and
// where everything has.
func fuzz(t *testing.T, packed []byte) {
	agreeFrom(t, append(slices.Clip(packed), make([]byte, 64)...), "whole")
	agreeFrom(t, packed, "by 31")
}
