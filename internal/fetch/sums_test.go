package fetch_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/fetch"
	"inlay/test/need"
)

// TestChecksums promises that the file's own line in SHA256SUMS, beside it, must
// be there and hold.
func TestChecksums(t *testing.T) {
	t.Parallel()
	right, wrong := digest("image").Hex(), digest("other").Hex()
	other := wrong + "  y.raw\n"
	for name, tt := range map[string]struct {
		sums        string // "" is 404
		path        string // "" is /dir/x.raw
		header      string
		digest      string
		err, advice string
	}{
		"text":               {sums: other + right + "  x.raw\n"},
		"binary":             {sums: other + right + " *x.raw\n"},
		"no last newline":    {sums: right + "  x.raw"},
		"carriage return":    {sums: right + "  x.raw\r\n"},
		"below here":         {sums: right + "  ./x.raw\n"},
		"capitals":           {sums: strings.ToUpper(right) + "  x.raw\n"},
		"signed around":      {sums: "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + right + "  x.raw\n-----BEGIN PGP SIGNATURE-----\n\nxyz\n"},
		"twice the same":     {sums: right + "  x.raw\n" + right + " *x.raw\n"},
		"with the query":     {sums: right + "  x.raw\n", path: "/dir/x.raw?token=1"},
		"encoded":            {sums: right + "  x+y z.raw\n", path: "/di%72/x%2By%20z.raw"},
		"escaped":            {sums: `\` + right + `  x\\y.raw` + "\n" + right + "  x.raw\n"},
		"by header's name":   {sums: right + "  y.raw\n", path: "/dir/latest", header: `attachment; filename="y.raw"`},
		"asked name first":   {sums: right + "  x.raw\n" + other, header: `attachment; filename="y.raw"`},
		"agrees":             {sums: right + "  x.raw\n", digest: "sha256:" + right},
		"wrong":              {sums: wrong + "  x.raw\n", err: "has the digest sha256:" + right + ", not sha256:" + wrong, advice: "don't use"},
		"does not agree":     {sums: wrong + "  x.raw\n", digest: "sha256:" + right, err: "SHA256SUMS says", advice: "find out which"},
		"none":               {err: "there is no SHA256SUMS in the same folder", advice: "--digest"},
		"no line":            {sums: other, err: `SHA256SUMS has no line for "x.raw"`, advice: "--digest"},
		"empty":              {sums: "\n", err: "no line", advice: "--digest"},
		"two digests":        {sums: right + "  x.raw\n" + wrong + "  x.raw\n", err: `two digests for "x.raw"`, advice: ""},
		"other folder":       {sums: right + "  dir/x.raw\n", err: "no line", advice: "--digest"},
		"one space":          {sums: right + " x.raw\n", err: "no line", advice: "--digest"},
		"short":              {sums: right[1:] + "  x.raw\n", err: "no line", advice: "--digest"},
		"no hex":             {sums: "g" + right[1:] + "  x.raw\n", err: "no line", advice: "--digest"},
		"longer name":        {sums: right + "  x.raw.sig\n", err: "no line", advice: "--digest"},
		"endless":            {sums: strings.Repeat(other, 20_000) + right + "  x.raw\n", err: "reading SHA256SUMS: it is too long", advice: ""},
		"the image in place": {sums: "\x00\x01\x02" + strings.Repeat("\xff", 1<<19), err: "no line", advice: "--digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/dir/SHA256SUMS" && tt.sums != "" && r.URL.RawQuery == strings.TrimPrefix(tt.path[strings.IndexByte(tt.path+"?", '?'):], "?"):
					content(tt.sums)(w, r)
				case strings.HasSuffix(r.URL.Path, "SHA256SUMS"):
					w.WriteHeader(http.StatusNotFound)
				default:
					w.Header().Set("Content-Disposition", tt.header)
					content("image")(w, r)
				}
			})
			path := tt.path
			if path == "" {
				path = "/dir/x.raw"
			}
			check := func(g got, err error) {
				t.Helper()
				if tt.err != "" {
					wantError(t, err, tt.err, tt.advice)
				} else if err != nil {
					t.Error(err)
				} else if g.Download.Digest.Hex() != right {
					t.Errorf("got %+v", g.Download)
				}
			}
			check(download(t, fetch.Request{URI: serving + path, Checksums: true, Digest: tt.digest}))
			if tt.path != "" || tt.header != "" || name == "endless" {
				return
			}
			local := write(t, "x.raw", "image")
			if tt.sums != "" {
				if err := os.WriteFile(filepath.Join(filepath.Dir(local), "SHA256SUMS"), []byte(tt.sums), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			check(download(t, fetch.Request{URI: "file:" + local, Checksums: true, Digest: tt.digest}))
		})
	}
	_, err := download(t, fetch.Request{URI: "oci:127.0.0.1:1/x", Checksums: true})
	wantError(t, err, "a registry has no SHA256SUMS", "leave --checksums away")
}

// TestSha256sum promises that what coreutils write is read, for names that need
// escapes as well.
func TestSha256sum(t *testing.T) {
	t.Parallel()
	program := need.Tool(t, "sha256sum", "coreutils")
	dir := t.TempDir()
	for _, name := range []string{"x.raw", "a b.raw", "back\\slash.raw", "new\nline.raw", "return\r.raw", "*star.raw", "é.raw"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"--text", "--binary"} {
			cmd := exec.CommandContext(t.Context(), program, mode, "--", name)
			cmd.Dir = dir
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := fetch.FindSum(out, name); err != nil || got != digest(name) {
				t.Errorf("%q: %v, %v", out, got, err)
			}
		}
	}
}
