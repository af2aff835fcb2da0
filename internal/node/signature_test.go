package node_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"inlay/internal/fetch"
	"inlay/internal/node"
	"inlay/internal/store"
	"inlay/internal/verify"
	"inlay/test/sample"
)

// TestReplacementOfRefused: what is not let in any more was signed all the same,
// and only what is trusted takes its place unasked.
func TestReplacementOfRefused(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	old, _ := pair(t, "old")
	for name, c := range map[string]struct {
		now     sample.Image
		options []option
		want    string
	}{
		"by one that is trusted": {now: sample.Image{Signer: mine}, options: []option{trusting(t, certificate)}},
		"by an unsigned one":     {options: []option{configured(t, "any")}, want: "this one is not signed"},
		"by a stranger's":        {now: sample.Image{Signer: mine}, options: []option{configured(t, "any")}, want: "this one by CN=mine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool", Signer: old})
			// A bad block at the top of the tree: refused before anybody looks at signatures.
			if c.want != "" {
				spoilSuperblock(t, filepath.Join(m.root, "var/lib/kairos/extensions/tool.sysext.raw"))
			}
			m = m.with(t, c.options...)
			if e := m.entry(t, "tool"); e.Verdict != "refused" {
				t.Fatalf("%+v", e)
			}
			c.now.Name = "tool"
			err := m.download(t, c.now)
			if c.want == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want … %s", err, c.want)
			}
		})
	}
}

// spoilSuperblock makes the hash tree of an image one that nobody understands,
// as a disk that fails would: what is remembered of the file still counts.
func spoilSuperblock(t *testing.T, path string) {
	t.Helper()
	image, err := os.ReadFile(path)
	must(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("VERITY"), int64(bytes.Index(image, []byte("verity\x00\x00"))))
	must(t, errors.Join(err, f.Close()))
	record := filepath.Join(filepath.Dir(path), ".inlay/records", filepath.Base(path)+".json")
	info, err := os.Stat(path)
	must(t, err)
	text, err := os.ReadFile(record)
	must(t, err)
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no time of the last change")
	}
	for field, at := range map[string]time.Time{"modTime": info.ModTime(), "changeTime": time.Unix(is.Ctim.Unix())} {
		text = regexp.MustCompile(`"`+field+`": "[^"]*"`).ReplaceAll(text, fmt.Appendf(nil, "%q: %q", field, at.Format(time.RFC3339Nano)))
	}
	must(t, os.WriteFile(record, text, 0o644))
}

// TestUnnamedSigner: a signature that brings no certificate is one all the same.
func TestUnnamedSigner(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	anonymous := unnamed(t, sample.Make(t, sample.Image{Name: "tool", Signer: mine}))
	m := boot(t)
	d, err := m.Download(t.Context(), node.DownloadRequest{Request: fetch.Request{URI: "file:" + anonymous}})
	must(t, err)
	const guard = "signed by somebody unnamed, whom nobody here knows"
	if len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], guard+": ") || d.Guard != guard {
		t.Errorf("%q, %q", d.Warnings, d.Guard)
	}
	_, err = m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	if !slices.Equal(m.merger.asides, []bool{true}) {
		t.Errorf("set aside %v", m.merger.asides)
	}
	if e := m.entry(t, "tool"); e.Guard() != guard {
		t.Errorf("listed as %q", e.Guard())
	}
	for name, image := range map[string]sample.Image{"unsigned": {}, "signed by a stranger": {Signer: mine}} {
		image.Name = "tool"
		if err := m.download(t, image); err == nil || !strings.Contains(err.Error(), "signed by somebody unnamed") {
			t.Errorf("%s takes its place: %v", name, err)
		}
	}
	// Whoever is trusted is known without a certificate in the message.
	m = m.with(t, trusting(t, certificate))
	if e := m.entry(t, "tool"); e.Guard() != "signed by CN=mine" {
		t.Errorf("listed as %q", e.Guard())
	}
}

// unnamed takes the certificates out of the signature of an image.
func unnamed(t *testing.T, path string) string {
	t.Helper()
	image, err := os.ReadFile(path)
	must(t, err)
	start := bytes.Index(image, []byte(`"signature":"`)) + len(`"signature":"`)
	end := start + bytes.IndexByte(image[start:], '"')
	der, err := base64.StdEncoding.DecodeString(string(image[start:end]))
	must(t, err)
	var message struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version          int
			Algorithms, Data asn1.RawValue
			Certificates     asn1.RawValue `asn1:"optional,tag:0"`
			Signers          asn1.RawValue
		} `asn1:"explicit,tag:0"`
	}
	_, err = asn1.Unmarshal(der, &message)
	must(t, err)
	message.Content.Certificates = asn1.RawValue{}
	der, err = asn1.Marshal(message)
	must(t, err)
	text := append([]byte(base64.StdEncoding.EncodeToString(der)), `"}`...)
	copy(image[start:], append(text, make([]byte, end+2-start-len(text))...))
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	must(t, os.WriteFile(to, image, 0o600))
	return to
}

// TestBadSignature: no policy lets in what claims to be signed and isn't.
func TestBadSignature(t *testing.T) {
	t.Parallel()
	mine, _ := pair(t, "mine")
	image, err := os.ReadFile(sample.Make(t, sample.Image{Name: "tool", Signer: mine}))
	must(t, err)
	// The signature is at the end of the message, in base64 in JSON.
	start := bytes.Index(image, []byte(`"signature":"`)) + len(`"signature":"`)
	end := start + bytes.IndexByte(image[start:], '"')
	at := end - 20
	image[at] = map[bool]byte{true: 'B', false: 'A'}[image[at] == 'A']
	file := filepath.Join(t.TempDir(), "tool.sysext.raw")
	must(t, os.WriteFile(file, image, 0o600))
	for _, policy := range []string{"any", "verity", "signed"} {
		m := boot(t, configured(t, policy))
		r := node.DownloadRequest{Request: fetch.Request{URI: "file:" + file}, AllowUntrusted: true}
		if _, err := m.Download(t.Context(), r); err == nil {
			t.Errorf("%s lets it in", policy)
		} else if refused, ok := errors.AsType[*node.RefusedError](err); !ok || refused.Verdict.Refusal.Check != verify.CheckSignature {
			t.Errorf("%s: %v", policy, err)
		}
		if left, err := m.List(t.Context(), ""); err != nil || len(left) > 0 {
			t.Errorf("%s keeps %v, %v", policy, left, err)
		}
	}
}
