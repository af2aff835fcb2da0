package verify_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/extension"
	"inlay/internal/osrelease"
	"inlay/internal/trust"
	"inlay/internal/verify"
	"inlay/test/hostile"
	"inlay/test/sample"
)

// want compares a verdict with what a case expects of it.
func want(t *testing.T, v *verify.Verdict, result verify.Result, check verify.Name, reason string) {
	t.Helper()
	switch {
	case v.Result != result:
		t.Fatalf("want %s, have %s", result, explain(v))
	case result == verify.Good:
		if v.Refusal != nil {
			t.Fatalf("good, and refused: %s", explain(v))
		}
	case v.Refusal == nil || v.Refusal.Check != check || !strings.Contains(v.Refusal.Reason, reason):
		t.Fatalf("want it refused by %s with %q, have %s", check, reason, explain(v))
	case len(v.Refusal.Hints) == 0:
		t.Errorf("nothing says what to do about %s", explain(v))
	}
}

// TestSigners: who signed, and what the anchors and the policy make of it.
func TestSigners(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-48 * time.Hour)
	known := sample.Pair(t, sample.Certificate{Name: "known"})
	stranger := sample.Pair(t, sample.Certificate{Name: "stranger"})
	namesake := sample.Pair(t, sample.Certificate{Name: "known"})
	expired := sample.Pair(t, sample.Certificate{Name: "expired", From: old, To: old.Add(time.Hour)})
	future := sample.Pair(t, sample.Certificate{Name: "future", From: time.Now().Add(time.Hour)})
	anchors := trusting(t, known, expired, future)
	image := func(o sample.Image) []byte { return read(t, sample.Make(t, o)) }

	for name, c := range map[string]struct {
		image      []byte
		options    verify.Options
		result     verify.Result
		check      verify.Name
		reason     string
		protection verify.Protection
	}{
		"known":                      {image(sample.Image{Signer: known}), verify.Options{Anchors: anchors}, verify.Good, "", "", verify.Signed},
		"no anchors":                 {image(sample.Image{Signer: known}), verify.Options{}, verify.Refused, verify.CheckSignature, "CN=known", ""},
		"empty anchors":              {image(sample.Image{Signer: known}), verify.Options{Anchors: new(trust.Set)}, verify.Refused, verify.CheckSignature, "CN=known", ""},
		"a stranger":                 {image(sample.Image{Signer: stranger}), verify.Options{Anchors: anchors}, verify.Refused, verify.CheckSignature, "CN=stranger", ""},
		"a stranger, verity":         {image(sample.Image{Signer: stranger}), verify.Options{Anchors: anchors, Policy: policy(t, "verity")}, verify.Good, "", "", verify.Verity},
		"a stranger, any":            {image(sample.Image{Signer: stranger}), verify.Options{Anchors: anchors, Policy: policy(t, "any")}, verify.Good, "", "", verify.Verity},
		"a namesake":                 {image(sample.Image{Signer: namesake}), verify.Options{Anchors: anchors, Policy: policy(t, "any")}, verify.Refused, verify.CheckSignature, "", ""},
		"unsigned":                   {image(sample.Image{}), verify.Options{Anchors: anchors}, verify.Refused, verify.CheckSignature, "not signed", ""},
		"unsigned, verity":           {image(sample.Image{}), verify.Options{Policy: policy(t, "verity")}, verify.Good, "", "", verify.Verity},
		"deferred":                   {image(sample.Image{Deferred: true}), verify.Options{Anchors: anchors}, verify.Refused, verify.CheckSignature, "empty", ""},
		"deferred, verity":           {image(sample.Image{Deferred: true}), verify.Options{Policy: policy(t, "verity")}, verify.Good, "", "", verify.Verity},
		"expired":                    {image(sample.Image{Signer: expired}), verify.Options{Anchors: anchors, Now: time.Now()}, verify.Good, "", "", verify.Signed},
		"expired, dates count":       {image(sample.Image{Signer: expired}), verify.Options{Anchors: anchors, Now: time.Now(), RequireValidDates: true}, verify.Refused, verify.CheckSignature, "", ""},
		"not yet valid, dates count": {image(sample.Image{Signer: future}), verify.Options{Anchors: anchors, Now: time.Now(), RequireValidDates: true}, verify.Refused, verify.CheckSignature, "", ""},
		"expired, but not then":      {image(sample.Image{Signer: expired}), verify.Options{Anchors: anchors, Now: old.Add(time.Minute), RequireValidDates: true}, verify.Good, "", "", verify.Signed},
		"policy of systemd":          {image(sample.Image{Signer: known}), verify.Options{Anchors: anchors, Policy: policy(t, "root=signed+absent:usr=signed+absent")}, verify.Good, "", "", verify.Signed},
		"policy for usr alone":       {image(sample.Image{Signer: known}), verify.Options{Anchors: anchors, Policy: policy(t, "root=absent:usr=signed")}, verify.Refused, verify.CheckPolicy, "", ""},
		"squashfs":                   {image(sample.Image{Signer: known, FileSystem: "squashfs"}), verify.Options{Anchors: anchors}, verify.Good, "", "", verify.Signed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := run(t, c.image, c.options)
			want(t, v, c.result, c.check, c.reason)
			if c.protection != "" && v.Protection != c.protection {
				t.Errorf("protection %q, want %q", v.Protection, c.protection)
			}
			if v.Trusted() != (c.result == verify.Good) {
				t.Error("Trusted and Result differ")
			}
			if v.Signer != nil && v.Trusted() && v.Signer.Trusted != (v.Protection == verify.Signed) {
				t.Errorf("a signer that is trusted: %t, under the protection %q", v.Signer.Trusted, v.Protection)
			}
		})
	}
}

// TestDenied: an image that was taken back stays out under every policy, and a
// deny list that nobody can believe lets nothing in.
func TestDenied(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	good := read(t, sample.Make(t, sample.Image{Signer: pair}))
	root := hostile.Open(t, good).Root
	list := []byte("inlay deny list 1\n" + strings.TrimSpace(string(ddi.SignedText(root))) + " hello 1.0: CVE-2026-1\n")
	signature, err := cms.Sign(list, pair.Certificate, pair.Signer)
	if err != nil {
		t.Fatal(err)
	}
	given := []trust.Given{{Origin: "acme.crt", PEM: sample.PEM(pair.Certificate)}}
	for name, c := range map[string]struct {
		list      trust.DenyFile
		policy    string
		reason    string
		unchanged bool
	}{
		"denied":         {trust.DenyFile{Origin: "x.deny", Text: list, Signature: signature}, "signed", "CVE-2026-1", false},
		"denied, any":    {trust.DenyFile{Origin: "x.deny", Text: list, Signature: signature}, "any", "CVE-2026-1", false},
		"changed list":   {trust.DenyFile{Origin: "x.deny", Text: list[:len(list)-2], Signature: signature}, "signed", "x.deny", false},
		"unsigned list":  {trust.DenyFile{Origin: "x.deny", Text: list}, "any", "x.deny", false},
		"no list at all": {trust.DenyFile{}, "signed", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := trust.Options{Given: given}
			if !c.unchanged {
				o.DenyLists = []trust.DenyFile{c.list}
			}
			set, err := trust.Load(o)
			if err != nil {
				t.Fatal(err)
			}
			v := run(t, good, verify.Options{Anchors: set, Policy: policy(t, c.policy)})
			if c.unchanged {
				want(t, v, verify.Good, "", "")
				return
			}
			want(t, v, verify.Refused, verify.CheckDenyList, c.reason)
		})
	}
}

// TestDepth: top reads only the tree's top and what it needs of the files, and
// still believes nothing that the tree does not confirm.
func TestDepth(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	o := verify.Options{Anchors: trusting(t, pair), Depth: verify.Top}
	set := hostile.Set{Image: hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair, Files: noise(3)})))}
	for _, c := range hostile.Cases() {
		switch c.Name {
		case "nothing", "a bit in the middle of the data":
			want(t, run(t, c.Spoil(t, set), o), verify.Good, "", "")
		case "a bit of the file system's magic number", "a bit of the salt":
			if v := run(t, c.Spoil(t, set), o); v.Trusted() {
				t.Errorf("%s: %s", c.Name, explain(v))
			}
		}
	}
}

// TestHost: whether a host would take it is asked last and only if wanted.
func TestHost(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	anchors := trusting(t, pair)
	host := func(text, arch string) *extension.Host {
		h, err := extension.HostFrom([]byte(text), arch)
		if err != nil {
			t.Fatal(err)
		}
		return &h
	}
	anywhere := read(t, sample.Make(t, sample.Image{Signer: pair}))
	debian := read(t, sample.Make(t, sample.Image{Signer: pair, Release: []osrelease.Field{{Key: "ID", Value: "debian"}, {Key: "VERSION_ID", Value: "13"}}}))
	arm := read(t, sample.Make(t, sample.Image{Signer: pair, Arch: "arm64"}))
	for name, c := range map[string]struct {
		image  []byte
		host   *extension.Host
		result verify.Result
	}{
		"not asked":            {debian, nil, verify.Good},
		"any host":             {anywhere, host("ID=debian\nVERSION_ID=13\n", "x86-64"), verify.Good},
		"the same":             {debian, host("ID=debian\nVERSION_ID=13\n", "x86-64"), verify.Good},
		"another version":      {debian, host("ID=debian\nVERSION_ID=12\n", "x86-64"), verify.Incompatible},
		"another system":       {debian, host("ID=flatcar\nVERSION_ID=13\n", "x86-64"), verify.Incompatible},
		"another architecture": {arm, host("ID=debian\nVERSION_ID=13\n", "x86-64"), verify.Incompatible},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := run(t, c.image, verify.Options{Anchors: anchors, Host: c.host})
			want(t, v, c.result, verify.CheckHost, "")
			if v.Protection != verify.Signed {
				t.Errorf("protection %q: what the host says takes nothing from it", v.Protection)
			}
		})
	}
}

// faulty gives an I/O error from an offset on.
type faulty struct {
	io.ReaderAt
	from int64
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, syscall.EIO
	}
	return f.ReaderAt.ReadAt(p, off)
}

// TestUnreadable: a bad disk is no bad image, wherever it shows.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	good := read(t, sample.Make(t, sample.Image{Signer: pair, Files: noise(4)}))
	anchors := trusting(t, pair)
	for from := int64(0); from < int64(len(good)); from += 100_000 {
		s := &verify.Subject{Path: "hello.sysext.raw", Image: faulty{bytes.NewReader(good), from}, Size: int64(len(good))}
		v, err := verify.Run(t.Context(), s, verify.Options{Anchors: anchors})
		if err != nil {
			t.Fatal(err)
		}
		if v.Result != verify.Unreadable || !errors.Is(v.Err, syscall.EIO) {
			t.Errorf("failing from %d: %s", from, explain(v))
		}
	}
}

// TestCancelled gives no verdict.
func TestCancelled(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	good := read(t, sample.Make(t, sample.Image{Signer: pair}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := verify.Run(ctx, &verify.Subject{Path: "hello.sysext.raw", Image: bytes.NewReader(good), Size: int64(len(good))}, verify.Options{Anchors: trusting(t, pair)})
	if !errors.Is(err, context.Canceled) || v.Trusted() {
		t.Errorf("verdict %v, error %v", v, err)
	}
}

// TestMixedFlags: partitions of different flags meet no rule about flags.
func TestMixedFlags(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	im := hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair})))
	mixed := im.Writable(1)
	o := verify.Options{Anchors: trusting(t, pair)}
	want(t, run(t, mixed, o), verify.Good, "", "")
	for text, result := range map[string]verify.Result{
		"root=signed+read-only-on":            verify.Refused,
		"root=signed+read-only-off":           verify.Refused,
		"root=signed":                         verify.Good,
		"root=signed+read-only-on+growfs-off": verify.Refused,
	} {
		o.Policy = policy(t, text)
		want(t, run(t, mixed, o), result, verify.CheckPolicy, "")
	}
	o.Policy = policy(t, "root=signed+read-only-on")
	want(t, run(t, im.Bytes, o), verify.Good, "", "")
}
