package fetch_test

import (
	"fmt"
	"strings"
	"testing"

	"inlay/internal/fetch"
	"inlay/internal/hint"
)

// TestParseURI promises that what is refused is refused with advice, and without
// a word of what may be a password.
func TestParseURI(t *testing.T) {
	t.Parallel()
	for uri, tt := range map[string]struct{ text, err, advice string }{
		"https://h/x.raw":                        {text: "https://h/x.raw"},
		"https:h/x.raw":                          {text: "https://h/x.raw"},
		"https://me:s3cret@h:8/x%2Fy.raw?s3cret": {text: "https://h:8/x%2Fy.raw?…"},
		"file:x.raw":                             {text: "file:x.raw"},
		"file:///x.raw":                          {text: "file:/x.raw"},
		"oci://quay.io/team/x:1":                 {text: "oci:quay.io/team/x:1"},
		"":                                       {err: "the URI is empty", advice: "https://HOST/PATH"},
		"x.raw":                                  {err: "no scheme that is known", advice: "https://HOST/PATH"},
		"./x.raw":                                {err: "no scheme that is known", advice: "file:PATH"},
		"/x.raw":                                 {err: "no scheme that is known", advice: "file:PATH"},
		"ftp://me:s3cret@h/x.raw":                {err: "no scheme that is known", advice: "https://HOST/PATH"},
		"https://me:s3/cret@h/x.raw":             {err: "what follows https: is not an address", advice: "percent-encode"},
		"https://me:s3%cret@h/x.raw":             {err: "what follows https: is not an address", advice: "percent-encode"},
		"https://me:s3#cret@h/x.raw":             {err: "what follows https: is not an address", advice: "percent-encode"},
		"https://me@h:s3cret/x.raw":              {err: "what follows https: is not an address", advice: "percent-encode"},
		"https:///x.raw":                         {err: "names no host", advice: "https://HOST/PATH"},
		"https:/x.raw":                           {err: "names no host", advice: "https://HOST/PATH"},
		"https://:80/x.raw":                      {err: "names no host", advice: "https://HOST/PATH"},
		"https://h/x.raw\n":                      {err: "cannot be typed", advice: "https://HOST/PATH"},
		"https://h/\xff.raw":                     {err: "cannot be typed", advice: "https://HOST/PATH"},
		"https://h/" + strings.Repeat("x", 9000): {err: "more than 8192", advice: "https://HOST/PATH"},
		"https://h/x.raw#s3cret":                 {err: "fragment that is not understood", advice: "#sha256="},
		"file:":                                  {err: "names nothing", advice: "file:PATH"},
		"oci:":                                   {err: "names nothing", advice: "oci:REF"},
		"oci:me:s3cret@quay.io/x":                {err: "what follows @ in an oci: URI must be a digest", advice: "--authfile"},
		"oci:me:s3cret@quay.io/x@sha256:" + "1234": {err: "what follows @ in an oci: URI must be a digest", advice: "--authfile"},
		"oci:QUAY/X": {err: "not an image reference", advice: "lower case"},
	} {
		ref, err := fetch.ParseURI(uri)
		if tt.err != "" {
			wantError(t, err, tt.err, tt.advice)
			if all := fmt.Sprint(err, hint.Of(err)); strings.Contains(all, "s3") || strings.Contains(all, "cret") {
				t.Errorf("%q shows a part of a password", all)
			}
			continue
		}
		if err != nil || ref.String() != tt.text {
			t.Errorf("%q: got %q, %v", uri, ref, err)
		}
	}
}

// FuzzParseURI promises that no URI panics or passes for another one when its
// text is read again, and that no text of it shows user or password.
func FuzzParseURI(f *testing.F) {
	for _, s := range []string{
		"https://h/x.raw", "http:me:pw@h:80/a%2Fb?q#sha256=" + digest("").Hex(), "file:///x#sha256=", "oci://q.io/x:1@" + string(digest("")),
		"https://[::1]:8/x", "https://h/%", "HTTPS://h//", "oci:a@b@c", "file:a#b", "file:////",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := fetch.ParseURI(s)
		if err != nil {
			if len(hint.Of(err)) == 0 {
				t.Errorf("%q: no advice on %v", s, err)
			}
			return
		}
		if u := ref.URL(); u != nil {
			if u.Host == "" || u.Fragment != "" {
				t.Errorf("%q asks for %q", s, u)
			}
			if u.User != nil && strings.Contains(ref.String(), "@") && !strings.Contains(u.Path, "@") {
				t.Errorf("%q is shown as %q", s, ref)
			}
			if u.RawQuery != "" {
				return // not in the text
			}
		}
		again, err := fetch.ParseURI(ref.String())
		if err != nil || again.String() != ref.String() || again.Scheme != ref.Scheme || again.Path != ref.Path || again.Image != ref.Image {
			t.Errorf("%q is %q, which is %q, %v", s, ref, again, err)
		}
	})
}

// FuzzContentDisposition promises that no header proposes a name that could do
// harm.
func FuzzContentDisposition(f *testing.F) {
	for _, s := range []string{
		`attachment; filename="x.raw"`, `inline; filename*=UTF-8''%e2%82%ac.raw`, `a; filename=../x`, `a;filename*0="x";filename*1=".raw"`,
		`attachment; filename="a\"b"; filename*=UTF-8''..%5c%2f`, "attachment; filename=\"x\x00\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := fetch.DispositionName(s)
		if name == "" {
			return
		}
		if err := fetch.CheckName(name); err != nil || len(name) > 255 || strings.ContainsAny(name, "/\\\x00\n\r\x1b") || name[0] == '.' || name[0] == '-' {
			t.Errorf("%q proposes %q (%v)", s, name, err)
		}
	})
}

// FuzzSums promises that no list panics, and that a digest that is found stands
// in it beside the name.
func FuzzSums(f *testing.F) {
	sum := digest("").Hex()
	for _, s := range []string{sum + "  x\n", sum + " *x", `\` + sum + `  x\\y` + "\n", strings.ToUpper(sum) + "  ./x\r\n", "SHA256 (x) = " + sum, "\x00"} {
		f.Add([]byte(s), "x")
	}
	f.Fuzz(func(t *testing.T, sums []byte, name string) {
		d, err := fetch.FindSum(sums, name)
		if err != nil {
			return
		}
		plain := !strings.ContainsAny(name, "\\\r\n")
		found := false
		for line := range strings.SplitSeq(string(sums), "\n") {
			line = strings.ToLower(line)
			found = found || strings.Contains(line, d.Hex()) && (!plain || strings.Contains(line, strings.ToLower(name)))
		}
		if !found || name == "" {
			t.Errorf("%q has %v for %q", sums, d, name)
		}
	})
}
