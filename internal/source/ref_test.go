package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/source"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]source.Ref{
		"dir:/a/b":                  {Scheme: source.Dir, Path: "/a/b"},
		"dir:a b":                   {Scheme: source.Dir, Path: "a b"},
		"dir:///a/b":                {Scheme: source.Dir, Path: "/a/b"},
		"dir://a":                   {Scheme: source.Dir, Path: "a"},
		"file:x.tar":                {Scheme: source.File, Path: "x.tar"},
		"file:///x.tar":             {Scheme: source.File, Path: "/x.tar"},
		"file:a:b":                  {Scheme: source.File, Path: "a:b"},
		"layout:/a":                 {Scheme: source.Layout, Path: "/a"},
		"layout:///a:v1.2+3":        {Scheme: source.Layout, Path: "/a", Tag: "v1.2+3"},
		"layout:a:b/c":              {Scheme: source.Layout, Path: "a:b/c"},
		"layout:a@" + someDigest:    {Scheme: source.Layout, Path: "a", Digest: someDigest},
		"docker:x":                  {Scheme: source.Daemon, Image: "x"},
		"docker://h:5000/x:1":       {Scheme: source.Daemon, Image: "h:5000/x:1"},
		"docker:" + someDigest:      {Scheme: source.Daemon, Image: someDigest},
		"oci:h/x@" + someDigest:     {Scheme: source.Registry, Image: "h/x@" + someDigest},
		"oci://x":                   {Scheme: source.Registry, Image: "x"},
		"container://x:1":           {Scheme: source.Any, Image: "x:1"},
		"container:x":               {Scheme: source.Any, Image: "x"},
		"x":                         {Scheme: source.Any, Image: "x"},
		"h:5000/a/b:1":              {Scheme: source.Any, Image: "h:5000/a/b:1"},
		"dirx:1":                    {Scheme: source.Any, Image: "dirx:1"},
		"quay.example/kairos/k3s:1": {Scheme: source.Any, Image: "quay.example/kairos/k3s:1"},
	}
	for in, want := range tests {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := source.Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			again, err := source.Parse(got.String())
			if err != nil || again != got {
				t.Errorf("%q parses to %v, %v", got.String(), again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	if err := os.WriteFile(archive, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ in, err, hint string }{
		"empty":             {"", "empty", "name a source"},
		"blank":             {" \t", "empty", "name a source"},
		"no path":           {"dir:", "names nothing", "dir:PATH"},
		"no path, slashes":  {"file://", "names nothing", "file:PATH"},
		"no reference":      {"oci://", "names nothing", "oci:REF"},
		"word alone":        {"docker", "names nothing", "docker:REF"},
		"layout of nothing": {"layout::tag", "names nothing", "layout:PATH"},
		"bad tag":           {"layout:a:-", "is not a tag", "layout:PATH:TAG"},
		"bad digest":        {"layout:a@sha256:12", "64 lower-case hex digits", "copy the digest"},
		"upper case":        {"oci:Foo/Bar", "not an image reference", "lower case"},
		"newline":           {"oci:foo\nbar", "control characters", "name a source"},
		"nul":               {"dir:/a\x00b", "control characters", "name a source"},
		"not UTF-8":         {"dir:\xff", "not valid UTF-8", "name a source"},
		"endless":           {strings.Repeat("a", 10000), "10000 bytes", "name a source"},
		"http":              {"http://h/x", "unknown scheme", "plain HTTP"},
		"https":             {"https://h/x", "unknown scheme", "oci:HOST/NAME"},
		"skopeo's archive":  {"docker-archive:/x.tar", "unknown scheme", "file:PATH"},
		"skopeo's daemon":   {"docker-daemon:x:1", "unknown scheme", "docker:REF"},
		"unheard of":        {"ftp://x", "unknown scheme", "the schemes are"},
		"a folder":          {dir, "not an image reference", "did you mean the folder dir:" + dir},
		"an archive":        {archive, "not an image reference", "did you mean the archive file:" + archive},
		"a missing path":    {"./nowhere/at/all", "not an image reference", "does not exist"},
		"path tricks, host": {"docker:h.test/../../info", "not an image reference", "lower case"},
		"option":            {"oci:--help", "not an image reference", "lower case"},
		// The manifest is held to SHA-256 alone, so another digest would be held to nothing.
		"by SHA-512":         {"oci:r@sha512:" + strings.Repeat("ab", 64), "is not of the form sha256:HEX", "@sha256:DIGEST"},
		"daemon, by SHA-384": {"docker:r@sha384:" + strings.Repeat("ab", 48), "is not of the form sha256:HEX", "@sha256:DIGEST"},
		"path tricks":        {"docker:../../info", "not an image reference", "dir:PATH"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := source.Parse(tt.in)
			wantError(t, err, tt.err, tt.hint)
			if got != (source.Ref{}) {
				t.Errorf("got %v", got)
			}
		})
	}
}

// wantError checks for one line with the wanted text, and a hint if one is wanted.
func wantError(t testing.TB, err error, text, advice string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %q", text)
	}
	if !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %q, want one line with %q in it", err, text)
	}
	if got := strings.Join(hint.Of(err), "; "); !strings.Contains(got, advice) || advice == "" && got != "" {
		t.Errorf("got hints %q, want %q in them", got, advice)
	}
}

func TestParseLayers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		count, from, to int
		err             string
	}{
		"last": {3, 3, 3, ""}, "": {1, 1, 1, ""}, "all": {3, 1, 3, ""}, "2": {3, 2, 2, ""}, "1-2": {3, 1, 2, ""},
		"2-2": {3, 2, 2, ""}, "1-3": {3, 1, 3, ""},
		"4": {3, 0, 0, "the image has 3"}, "2-4": {3, 0, 0, "the image has 3"},
		"0": {3, 0, 0, "counted from 1"}, "3-2": {3, 0, 0, "backwards"}, "-1": {3, 0, 0, "not a number"},
		"1-": {3, 0, 0, "not a number"}, "1-2-3": {3, 0, 0, "not a number"}, "Last": {3, 0, 0, "not a number"},
		"99999999999999999999": {3, 0, 0, "not a number"}, "+1": {3, 0, 0, "not a number"},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			s, err := source.ParseLayers(in)
			from, to := 0, 0
			if err == nil {
				if again, err := source.ParseLayers(s.String()); err != nil || again != s {
					t.Errorf("%q does not come back: %v, %v", s, again, err)
				}
				from, to, err = s.Range(tt.count)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || len(hint.Of(err)) == 0 {
					t.Errorf("got %v, want %q and a hint", err, tt.err)
				}
			} else if err != nil || from != tt.from || to != tt.to {
				t.Errorf("got %d-%d, %v, want %d-%d", from, to, err, tt.from, tt.to)
			}
		})
	}
	if _, _, err := (source.Selection{}).Range(0); err == nil {
		t.Error("an image without layers has a last one")
	}
}
