package verify_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/verify"
	"inlay/test/hostile"
	"inlay/test/need"
	"inlay/test/sample"
)

// place writes files into a folder of the test's own and returns the path of
// the one that is verified.
func place(t testing.TB, name string, files map[string][]byte) string {
	t.Helper()
	folder := t.TempDir()
	for n, b := range files {
		if err := os.WriteFile(filepath.Join(folder, n), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, name)
}

// judge opens path and gives the verdict on it.
func judge(t testing.TB, path string, o verify.Options) *verify.Verdict {
	t.Helper()
	s, err := verify.Open(path)
	if err != nil {
		return verify.Unopened(path, o, err)
	}
	defer s.Close()
	v, err := verify.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestBeside: what lies beside a naked file system protects it, if it is whole
// and fits.
func TestBeside(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	o := verify.Options{Anchors: trusting(t, pair)}
	im := hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair, FileSystem: "squashfs"})))
	other := hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair, Files: noise(5)})))
	hash := func(im *hostile.Image) []byte { return append(ddi.SignedText(im.Root), '\n') }
	whole := map[string][]byte{
		"hello.sysext.raw": im.Data(), "hello.sysext.verity": im.Tree(),
		"hello.sysext.roothash": hash(im), "hello.sysext.roothash.p7s": im.Signature.PKCS7,
	}
	disk := map[string][]byte{"hello.sysext.raw": im.Bytes}
	stranger := sample.Pair(t, sample.Certificate{Name: "stranger", Serial: 7})
	strange, err := cms.Sign(ddi.SignedText(im.Root), stranger.Certificate, stranger.Signer)
	if err != nil {
		t.Fatal(err)
	}
	strangers := map[string][]byte{"hello.sysext.raw": read(t, sample.Make(t, sample.Image{Signer: stranger}))}
	for name, c := range map[string]struct {
		base   map[string][]byte
		change map[string][]byte // nil removes
		policy string
		result verify.Result
		check  verify.Name
		reason string
		shield verify.Protection
	}{
		"whole":                        {whole, nil, "signed", verify.Good, "", "", verify.Signed},
		"no signature":                 {whole, map[string][]byte{"hello.sysext.roothash.p7s": nil}, "signed", verify.Refused, verify.CheckSignature, "not signed", ""},
		"no signature, verity":         {whole, map[string][]byte{"hello.sysext.roothash.p7s": nil}, "verity", verify.Good, "", "", verify.Verity},
		"no tree":                      {whole, map[string][]byte{"hello.sysext.verity": nil}, "any", verify.Refused, verify.CheckSuperblock, "roothash", ""},
		"no root hash":                 {whole, map[string][]byte{"hello.sysext.roothash": nil}, "any", verify.Refused, verify.CheckRootHash, "nothing states", ""},
		"another's tree":               {whole, map[string][]byte{"hello.sysext.verity": other.Tree()}, "any", verify.Refused, verify.CheckSuperblock, "", ""},
		"another's root hash":          {whole, map[string][]byte{"hello.sysext.roothash": hash(other)}, "any", verify.Refused, verify.CheckRootHash, "differ", ""},
		"another's signature":          {whole, map[string][]byte{"hello.sysext.roothash.p7s": other.Signature.PKCS7}, "any", verify.Refused, verify.CheckSignature, "", ""},
		"a root hash that is none":     {whole, map[string][]byte{"hello.sysext.roothash": []byte("no hash")}, "any", verify.Refused, verify.CheckRootHash, "64", ""},
		"a usr hash":                   {whole, map[string][]byte{"hello.sysext.roothash": nil, "hello.sysext.usrhash": hash(im)}, "signed", verify.Refused, verify.CheckRootHash, "usr", ""},
		"nothing beside":               {map[string][]byte{"hello.sysext.raw": im.Data()}, nil, "signed", verify.Refused, verify.CheckSignature, "without a hash tree", ""},
		"nothing beside, verity":       {map[string][]byte{"hello.sysext.raw": im.Data()}, nil, "verity", verify.Refused, verify.CheckPolicy, "", ""},
		"nothing beside, any":          {map[string][]byte{"hello.sysext.raw": im.Data()}, nil, "any", verify.Good, "", "", verify.Unprotected},
		"a disk image":                 {disk, nil, "signed", verify.Good, "", "", verify.Signed},
		"a disk image and its hash":    {disk, map[string][]byte{"hello.sysext.roothash": hash(im)}, "signed", verify.Good, "", "", verify.Signed},
		"a disk image, another's hash": {disk, map[string][]byte{"hello.sysext.roothash": hash(other)}, "any", verify.Refused, verify.CheckRootHash, "differ", ""},
		"a disk image and a tree":      {disk, map[string][]byte{"hello.sysext.verity": im.Tree()}, "any", verify.Refused, verify.CheckSuperblock, "partition table", ""},
		"no image":                     {map[string][]byte{"hello.sysext.raw": []byte("hello")}, nil, "any", verify.Refused, verify.CheckTable, "no extension image", ""},
		"too long a root hash":         {whole, map[string][]byte{"hello.sysext.roothash": make([]byte, 2000)}, "any", verify.Refused, verify.CheckSuperblock, "at most", ""},
		"a disk image and its own":     {disk, map[string][]byte{"hello.sysext.roothash.p7s": im.Signature.PKCS7}, "signed", verify.Good, "", "", verify.Signed},
		"a signature that is rubbish":  {disk, map[string][]byte{"hello.sysext.roothash.p7s": []byte("rubbish")}, "any", verify.Refused, verify.CheckSignature, "roothash.p7s", ""},
		"a stranger's beside ours":     {disk, map[string][]byte{"hello.sysext.roothash.p7s": strange}, "verity", verify.Good, "", "", verify.Verity},
		"a stranger's, signed":         {disk, map[string][]byte{"hello.sysext.roothash.p7s": strange}, "signed", verify.Refused, verify.CheckSignature, "stranger", ""},
		"a stranger's and rubbish":     {strangers, map[string][]byte{"hello.sysext.roothash.p7s": []byte("rubbish")}, "any", verify.Refused, verify.CheckSignature, "roothash.p7s", ""},
		"a stranger's and a broken":    {strangers, map[string][]byte{"hello.sysext.roothash.p7s": other.Signature.PKCS7}, "any", verify.Refused, verify.CheckSignature, "broken", ""},
		"a disk image, unprotected":    {disk, nil, "root=unprotected", verify.Good, "", "", verify.Unprotected},
		"an empty file":                {map[string][]byte{"hello.sysext.raw": {}}, nil, "any", verify.Refused, verify.CheckTable, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(c.base)
			for n, b := range c.change {
				files[n] = b
				if b == nil {
					delete(files, n)
				}
			}
			o := o
			o.Policy = policy(t, c.policy)
			v := judge(t, place(t, "hello.sysext.raw", files), o)
			want(t, v, c.result, c.check, c.reason)
			if c.shield != "" && v.Protection != c.shield {
				t.Errorf("protection %q, want %q", v.Protection, c.shield)
			}
		})
	}
}

// TestNames: the release file must be for the name that the image goes by.
func TestNames(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	o := verify.Options{Anchors: trusting(t, pair)}
	good := read(t, sample.Make(t, sample.Image{Signer: pair}))
	for name, c := range map[string]struct {
		file    string
		result  verify.Result
		kind    string
		called  string
		version string
	}{
		"its own":           {"hello.sysext.raw", verify.Good, "sysext", "hello", ""},
		"loose":             {"hello.raw", verify.Good, "sysext", "hello", ""},
		"with a version":    {"hello_1.2.sysext.raw", verify.Good, "sysext", "hello_1.2", "1.2"},
		"another name":      {"world.sysext.raw", verify.Refused, "", "", ""},
		"the other kind":    {"hello.confext.raw", verify.Refused, "", "", ""},
		"no name that fits": {".#hello.sysext.raw", verify.Refused, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := judge(t, place(t, c.file, map[string][]byte{c.file: good}), o)
			want(t, v, c.result, verify.CheckRelease, "")
			if v.Kind != c.kind || v.Name != c.called || v.Version != c.version {
				t.Errorf("kind %q, name %q, version %q", v.Kind, v.Name, v.Version)
			}
		})
	}
}

// TestFolder: a folder is judged for what it is, and nothing in it leads out.
func TestFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "hello")
	release := filepath.Join(folder, "usr/lib/extension-release.d")
	if err := os.MkdirAll(release, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(release, "extension-release.hello"), []byte("ID=_any\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "usr/su"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(folder, "usr/su"), 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	want(t, judge(t, folder, verify.Options{}), verify.Refused, verify.CheckSignature, "folder")
	want(t, judge(t, folder, verify.Options{Policy: policy(t, "verity")}), verify.Refused, verify.CheckPolicy, "")
	v := judge(t, folder, verify.Options{Policy: policy(t, "any")})
	want(t, v, verify.Good, "", "")
	if v.Protection != verify.Unprotected || v.Name != "hello" || v.Form != "folder" {
		t.Errorf("protection %q, name %q, form %q", v.Protection, v.Name, v.Form)
	}
	if len(v.Findings) != 1 || v.Findings[0].Finding != "setuid" || v.Findings[0].Paths[0] != "/usr/su" {
		t.Errorf("findings: %+v", v.Findings)
	}
}

// TestAttribute: a root hash in an extended attribute counts as a statement.
func TestAttribute(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	o := verify.Options{Anchors: trusting(t, pair)}
	im := hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair})))
	path := place(t, "hello.sysext.raw", map[string][]byte{"hello.sysext.raw": im.Bytes})
	set := func(text []byte) {
		t.Helper()
		if err := unix.Setxattr(path, "user.verity.roothash", text, 0); errors.Is(err, unix.ENOTSUP) {
			t.Skip("the file system has no user attributes")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	set(ddi.SignedText(im.Root))
	want(t, judge(t, path, o), verify.Good, "", "")
	im.Root[0] ^= 1
	set(ddi.SignedText(im.Root))
	want(t, judge(t, path, o), verify.Refused, verify.CheckRootHash, "user.verity.roothash")
}

// TestUnopened: what cannot be opened gets a verdict too, and nothing hangs.
func TestUnopened(t *testing.T) {
	t.Parallel()
	missing := judge(t, filepath.Join(t.TempDir(), "hello.sysext.raw"), verify.Options{})
	if missing.Result != verify.Missing || !errors.Is(missing.Err, fs.ErrNotExist) || len(missing.Checks) == 0 {
		t.Errorf("missing: %s", explain(missing))
	}
	pipe := filepath.Join(t.TempDir(), "hello.sysext.raw")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := judge(t, pipe, verify.Options{Policy: policy(t, "any")}); v.Trusted() {
		t.Errorf("a pipe: %s", explain(v))
	}
}

// TestDevice: a block device may be longer than the image on it.
func TestDevice(t *testing.T) {
	need.Root(t)
	pair := sample.Pair(t, sample.Certificate{})
	good := read(t, sample.Make(t, sample.Image{Signer: pair}))
	path := place(t, "disk", map[string][]byte{"disk": append(good, make([]byte, 1<<20)...)})
	device := filepath.Join(t.TempDir(), "hello.sysext.raw")
	losetup := need.Tool(t, "losetup", "mount")
	node, err := exec.CommandContext(t.Context(), losetup, "--find", "--show", "--read-only", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	loop := strings.TrimSpace(string(node))
	t.Cleanup(func() {
		if err := exec.Command(losetup, "--detach", loop).Run(); err != nil {
			t.Error(err)
		}
	})
	if err := os.Symlink(loop, device); err != nil {
		t.Fatal(err)
	}
	want(t, judge(t, device, verify.Options{Anchors: trusting(t, pair)}), verify.Good, "", "")
}

// TestLinked: what lies beside the file that a link leads to counts too.
func TestLinked(t *testing.T) {
	t.Parallel()
	pair := sample.Pair(t, sample.Certificate{})
	o := verify.Options{Anchors: trusting(t, pair)}
	im := hostile.Open(t, read(t, sample.Make(t, sample.Image{Signer: pair})))
	path := place(t, "hello.sysext.raw", map[string][]byte{"hello.sysext.raw": im.Bytes})
	link := filepath.Join(t.TempDir(), "hello.sysext.raw")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	want(t, judge(t, link, o), verify.Good, "", "")
	im.Root[0] ^= 1
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "hello.sysext.roothash"), ddi.SignedText(im.Root), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, judge(t, link, o), verify.Refused, verify.CheckRootHash, "differ")
}

// TestNothing: no subject is no verdict.
func TestNothing(t *testing.T) {
	t.Parallel()
	if v, err := verify.Run(t.Context(), new(verify.Subject), verify.Options{}); err == nil || v.Trusted() {
		t.Errorf("verdict %v, error %v", v, err)
	}
}
