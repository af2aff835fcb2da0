package trust_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/trust"
)

func TestFolders(t *testing.T) {
	t.Parallel()
	a, b, c := signer(t, "a"), signer(t, "b"), signer(t, "c")
	pa, pb, pc := string(toPEM(a.cert)), string(toPEM(b.cert)), string(toPEM(c.cert))
	tests := map[string]struct {
		files    map[string]string
		anchors  []string
		problems []string
	}{
		"nothing": {nil, []string{}, nil},
		"all four": {
			map[string]string{"etc/verity.d/1.crt": pa, "run/verity.d/2.crt": pb, "usr/local/lib/verity.d/3.crt": pc, "usr/lib/verity.d/4.crt": pa},
			[]string{"a /etc/verity.d/1.crt, /usr/lib/verity.d/4.crt", "b /run/verity.d/2.crt", "c /usr/local/lib/verity.d/3.crt"},
			nil,
		},
		"earlier wins": {
			map[string]string{"etc/verity.d/x.crt": pa, "run/verity.d/x.crt": pb, "usr/lib/verity.d/x.crt": pc},
			[]string{"a /etc/verity.d/x.crt"},
			nil,
		},
		"run over usr": {
			map[string]string{"run/verity.d/x.crt": pb, "usr/local/lib/verity.d/x.crt": pa, "usr/lib/verity.d/x.crt": pc},
			[]string{"b /run/verity.d/x.crt"},
			nil,
		},
		"masked": {
			map[string]string{"etc/verity.d/x.crt": "-> /dev/null", "usr/lib/verity.d/x.crt": pa, "usr/lib/verity.d/y.crt": pb},
			[]string{"b /usr/lib/verity.d/y.crt"},
			nil,
		},
		"masked by a relative link": {
			map[string]string{"run/verity.d/x.crt": "-> ../../dev/null", "usr/lib/verity.d/x.crt": pa}, []string{}, nil,
		},
		"masked over two links": {
			map[string]string{"etc/verity.d/x.crt": "-> mask", "etc/verity.d/mask": "-> /dev/null", "usr/lib/verity.d/x.crt": pa}, []string{}, nil,
		},
		"a later mask masks nothing": {
			map[string]string{"etc/verity.d/x.crt": pa, "usr/lib/verity.d/x.crt": "-> /dev/null"}, []string{"a /etc/verity.d/x.crt"}, nil,
		},
		"empty masks too": {
			map[string]string{"etc/verity.d/x.crt": "", "usr/lib/verity.d/x.crt": pa}, []string{}, []string{"/etc/verity.d/x.crt: empty"},
		},
		"broken hides": {
			map[string]string{"etc/verity.d/x.crt": "hello\n", "usr/lib/verity.d/x.crt": pa}, []string{}, []string{"/etc/verity.d/x.crt: no certificate in PEM"},
		},
		"dangling hides": {
			map[string]string{"etc/verity.d/x.crt": "-> /nowhere", "usr/lib/verity.d/x.crt": pa},
			[]string{},
			[]string{"/etc/verity.d/x.crt: not used: a link to what is not there"},
		},
		"a folder hides": {
			map[string]string{"etc/verity.d/x.crt/y": "", "usr/lib/verity.d/x.crt": pa}, []string{}, []string{"/etc/verity.d/x.crt: not used: a folder"},
		},
		"other names": {
			map[string]string{
				"etc/verity.d/a.pem": pa, "etc/verity.d/a.CRT": pa, "etc/verity.d/a.crt.bak": pa, "etc/verity.d/acrt": pa,
				"etc/verity.d/.a.crt": pa, "etc/verity.d/.crt": pa, "etc/verity.d/sub/a.crt": pa,
			},
			[]string{},
			nil,
		},
		"several in a file": {
			map[string]string{"etc/verity.d/x.crt": "comment\n" + pa + "\n" + pb + "tail\n" + pa}, []string{"a /etc/verity.d/x.crt", "b /etc/verity.d/x.crt"}, nil,
		},
		"links": {
			map[string]string{
				"etc/verity.d/1.crt": "-> ../keys/a.pem", "etc/keys/a.pem": pa, // relative
				"etc/verity.d/2.crt": "-> /etc/pki/b.pem", "etc/pki": "-> /opt", "opt/b.pem": pb, // absolute, over a folder
				"usr/lib/verity.d": "-> ../share/trust", "usr/share/trust/3.crt": pc, // the folder itself
			},
			[]string{"a /etc/verity.d/1.crt", "b /etc/verity.d/2.crt", "c /usr/lib/verity.d/3.crt"},
			nil,
		},
		"link that leaves": {
			map[string]string{"etc/verity.d/x.crt": "-> ../../../etc/passwd"}, []string{}, []string{"/etc/verity.d/x.crt: not used: it leads out of the root folder"},
		},
		"link in a circle": {
			map[string]string{"etc/verity.d/x.crt": "-> y", "etc/verity.d/y": "-> x.crt"}, []string{}, []string{"/etc/verity.d/x.crt: not used: it leads through too many links"},
		},
		"folder that is a file": {
			map[string]string{"run/verity.d": "", "etc/verity.d/x.crt": pa, "usr/lib/verity.d/y.crt": pb},
			[]string{"a /etc/verity.d/x.crt"},
			[]string{"/run/verity.d: not used: not a directory", "/run/verity.d: the folders after it are not used either, since it may mask what is in them: /usr/local/lib/verity.d, /usr/lib/verity.d"},
		},
		"folder that leads nowhere": {
			map[string]string{"etc/verity.d": "-> /nowhere", "usr/lib/verity.d/y.crt": pb},
			[]string{},
			[]string{"/etc/verity.d: not used: a link to what is not there", "the folders after it"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{Root: folder(t, test.files), Folders: trust.DefaultFolders()})
			if diff := cmp.Diff(test.anchors, names(set)); diff != "" {
				t.Error(diff)
			}
			checkLines(t, set, test.problems...)
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	a, b := signer(t, "a"), signer(t, "b")
	pa, pb := string(toPEM(a.cert)), string(toPEM(b.cert))
	block := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	tests := map[string]struct {
		text     string
		anchors  []string
		problems []string
	}{
		"one":              {pa, []string{"a /f"}, nil},
		"old word":         {block("X509 CERTIFICATE", a.cert.Raw), []string{"a /f"}, nil},
		"CRLF":             {strings.ReplaceAll(pa, "\n", "\r\n"), []string{"a /f"}, nil},
		"empty":            {"", []string{}, []string{"empty"}},
		"blank":            {" \n\n", []string{}, []string{"empty"}},
		"DER":              {string(a.cert.Raw), []string{}, []string{"openssl x509 -inform der"}},
		"text":             {"hello", []string{}, []string{"no certificate in PEM"}},
		"private key":      {pa + block("PRIVATE KEY", []byte("x")), []string{}, []string{"a private key is in it"}},
		"EC private key":   {block("EC PRIVATE KEY", []byte("x")) + pa, []string{}, []string{"a private key is in it"}},
		"broken key":       {pa + "-----BEGIN PRIVATE KEY-----\nxx", []string{}, []string{"a private key is in it"}},
		"public key":       {block("PUBLIC KEY", []byte("x")) + pa, []string{"a /f"}, []string{"block 1 is a public key, not a certificate"}},
		"trusted":          {block("TRUSTED CERTIFICATE", a.cert.Raw), []string{}, []string{"block 1 is a trusted certificate, not a certificate"}},
		"cut":              {pa[:len(pa)/2], []string{}, []string{"1 of 1 blocks are broken"}},
		"second cut":       {pa + pb[:len(pb)/2], []string{"a /f"}, []string{"1 of 2 blocks are broken"}},
		"first broken":     {strings.Replace(pa, "\nMII", "\n-II", 1) + pb, []string{"b /f"}, []string{"1 of 2 blocks are broken"}},
		"no certificate":   {block("CERTIFICATE", []byte("rubbish")) + pb, []string{"b /f"}, []string{"block 1 is no certificate"}},
		"trailing bytes":   {block("CERTIFICATE", append(slices.Clip(a.cert.Raw), 0)), []string{}, []string{"block 1 is no certificate"}},
		"too large":        {strings.Repeat("#", 1<<20) + pa, []string{}, []string{"too large"}},
		"just small":       {strings.Repeat("#", 1<<20-len(pa)-1) + "\n" + pa, []string{"a /f"}, nil},
		"many broken ones": {strings.Repeat(block("CERTIFICATE", []byte("x")), 100), []string{}, append(slices.Repeat([]string{"is no certificate"}, 8), "and 92 faults more")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, set := range []*trust.Set{
				load(t, trust.Options{Root: folder(t, map[string]string{"f": test.text}), Files: []string{"/f"}}),
				load(t, trust.Options{Given: []trust.Given{{Origin: "/f", PEM: []byte(test.text)}}}),
			} {
				if diff := cmp.Diff(test.anchors, names(set)); diff != "" {
					t.Error(diff)
				}
				checkLines(t, set, test.problems...)
			}
		})
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"null": "-> /dev/null", "dangling": "-> nowhere", "secret": "x", "folder/x": ""})
	if err := unix.Mkfifo(filepath.Join(root.Name(), "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	names := []string{"absent", "dangling", "null", "fifo", "folder", "../secret", "secret/x"}
	done := make(chan *trust.Set)
	go func() {
		set, err := trust.Load(trust.Options{Root: root, Files: names, Folders: []string{"fifo"}})
		if err != nil {
			t.Error(err)
		}
		done <- set
	}()
	select {
	case set := <-done:
		if len(set.Anchors) > 0 {
			t.Error("an anchor")
		}
		checkLines(t, set, "/absent: not used: not there", "/dangling: not used: a link to what is not there", "/null: not used: a link to what is not there",
			"/fifo: not used: not a regular file", "/folder: not used: a folder, not a file",
			"leads out of the root folder", "/secret/x: not used: not a directory", "/fifo: not used: not a directory")
	case <-time.After(10 * time.Second):
		t.Fatal("a FIFO holds up")
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	root := folder(t, map[string]string{"f": string(toPEM(signer(t, "a").cert))})
	if err := os.Chmod(filepath.Join(root.Name(), "f"), 0); err != nil {
		t.Fatal(err)
	}
	set := load(t, trust.Options{Root: root, Files: []string{"f"}})
	checkLines(t, set, "/f: not used: permission denied")
}

func TestHostileFileNames(t *testing.T) {
	t.Parallel()
	set := load(t, trust.Options{Root: folder(t, map[string]string{"d/x\n\x1b[2J.crt": "rubbish"}), Folders: []string{"d"}})
	if len(set.Problems) != 1 || strings.ContainsAny(set.Problems[0].Origin+set.Problems[0].Text, "\n\x1b") {
		t.Errorf("%q", set.Problems)
	}
}

func TestTooManyNames(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i := range 4097 {
		files[fmt.Sprintf("d/%d", i)] = ""
	}
	files["e/a.crt"] = string(toPEM(signer(t, "a").cert))
	set := load(t, trust.Options{Root: folder(t, files), Folders: []string{"d", "e"}})
	checkLines(t, set, "/d: not used: more than 4096 names", "the folders after it")
	if len(set.Anchors) > 0 {
		t.Error("an anchor")
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]trust.Options{
		"files":           {Files: []string{"f"}},
		"folders":         {Folders: trust.DefaultFolders()},
		"firmware":        {Firmware: true},
		"deny folders":    {DenyFolders: trust.DefaultDenyFolders()},
		"deny anchors":    {DenyAnchors: trust.Places{Files: []string{"f"}}},
		"deny firmware":   {DenyAnchors: trust.Places{Firmware: true}},
		"empty pin":       {Fingerprints: []string{""}},
		"short pin":       {Fingerprints: []string{"00"}},
		"pin of no digit": {Fingerprints: []string{strings.Repeat("g", 64)}},
		"SHA-1":           {Fingerprints: []string{strings.Repeat("0", 40)}},
	} {
		if set, err := trust.Load(o); err == nil || set != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	a, b, other := signer(t, "a"), signer(t, "b"), signer(t, "other")
	of := func(cert *x509.Certificate) string {
		sum := sha256.Sum256(cert.Raw)
		return hex.EncodeToString(sum[:])
	}
	var colons []string
	for digits := of(a.cert); digits != ""; digits = digits[2:] {
		colons = append(colons, strings.ToUpper(digits[:2]))
	}
	tests := map[string]struct {
		pins     []string
		anchors  []string
		problems []string
	}{
		"none":     {nil, []string{"a test", "b test"}, nil},
		"one":      {[]string{of(a.cert)}, []string{"a test"}, nil},
		"colons":   {[]string{strings.Join(colons, ":")}, []string{"a test"}, nil},
		"both":     {[]string{of(b.cert), of(a.cert)}, []string{"a test", "b test"}, nil},
		"stranger": {[]string{of(other.cert)}, []string{}, []string{"pinned fingerprints: no trusted certificate has " + of(other.cert)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{Given: given(a.cert, b.cert), Fingerprints: test.pins})
			if diff := cmp.Diff(test.anchors, names(set)); diff != "" {
				t.Error(diff)
			}
			checkLines(t, set, test.problems...)
			j := set.Judge(message(t, content, other, other.cert), []byte(content), trust.JudgeOptions{})
			checkJudgement(t, j, trust.Unknown, "CN=other")
		})
	}

	set := load(t, trust.Options{Given: given(a.cert, b.cert), Fingerprints: []string{of(a.cert)}})
	for _, embed := range [][]*x509.Certificate{nil, certs(b)} {
		j := set.Judge(message(t, content, b, embed...), []byte(content), trust.JudgeOptions{})
		checkJudgement(t, j, trust.Unknown, "signed by CN=b, which is in test but not among the pinned fingerprints")
	}
	checkJudgement(t, set.Judge(message(t, content, a), []byte(content), trust.JudgeOptions{}), trust.Trusted, "")
}
