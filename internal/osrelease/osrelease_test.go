package osrelease_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/osrelease"
)

func TestParse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want []osrelease.Field
	}{
		"plain":                       {"ID=_any\nARCHITECTURE=x86-64\n", []osrelease.Field{{"ID", "_any"}, {"ARCHITECTURE", "x86-64"}}},
		"no newline at the end":       {"ID=_any\nARCHITECTURE=x86-64", []osrelease.Field{{"ID", "_any"}, {"ARCHITECTURE", "x86-64"}}},
		"double quotes":               {`NAME="Debian GNU/Linux"`, []osrelease.Field{{"NAME", "Debian GNU/Linux"}}},
		"single quotes keep all":      {`A='a\b"c$d'`, []osrelease.Field{{"A", `a\b"c$d`}}},
		"escapes in double quotes":    {`A="a\"b\$c\d"`, []osrelease.Field{{"A", `a"b$c\d`}}},
		"escape outside quotes":       {`A=a\ b`, []osrelease.Field{{"A", "a b"}}},
		"joined parts":                {`A="a b"'c d'`, []osrelease.Field{{"A", "a bc d"}}},
		"blank between parts":         {`A="a" b`, []osrelease.Field{{"A", "ab"}}},
		"blanks between quotes":       {`A='a'  "b"`, []osrelease.Field{{"A", "ab"}}},
		"quote behind an escape":      {`A=\a"b"`, []osrelease.Field{{"A", `a"b"`}}},
		"blanks in the bare end":      {`A="a"b c `, []osrelease.Field{{"A", "ab c"}}},
		"quote inside a word":         {`A=it's`, []osrelease.Field{{"A", "it's"}}},
		"comments and blank lines":    {"# one\n\n; two\n  ID=x\n", []osrelease.Field{{"ID", "x"}}},
		"hash inside a value":         {"ID=a#b\n", []osrelease.Field{{"ID", "a#b"}}},
		"blanks around":               {"ID=  x  \n", []osrelease.Field{{"ID", "x"}}},
		"quoted blanks stay":          {`ID=" x "`, []osrelease.Field{{"ID", " x "}}},
		"line without assignment":     {"nonsense\nID=x\n", []osrelease.Field{{"ID", "x"}}},
		"key that is no name":         {"1D=y\nI D=z\nID=x\n", []osrelease.Field{{"ID", "x"}}},
		"later wins, first place":     {"ID=a\nB=b\nID=c\n", []osrelease.Field{{"ID", "c"}, {"B", "b"}}},
		"empty value":                 {"SYSEXT_SCOPE=\nID=x", []osrelease.Field{{"SYSEXT_SCOPE", ""}, {"ID", "x"}}},
		"continued line":              {"ID=a\\\nb\n", []osrelease.Field{{"ID", "ab"}}},
		"quote runs over lines":       {"A=\"a\nb\"\nID=x\n", []osrelease.Field{{"A", "a\nb"}, {"ID", "x"}}},
		"unclosed quote ends the key": {"A=\"a\nID=x\n", []osrelease.Field{{"A", "a\nID=x\n"}}},
		"carriage returns":            {"ID=x\r\nB=y\r\n", []osrelease.Field{{"ID", "x"}, {"B", "y"}}},
		"backslash ends the file":     {`A=b\`, []osrelease.Field{{"A", "b"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := osrelease.Parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.Fields()); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, want string }{
		"NUL":      {"ID=a\x00b", "NUL"},
		"not UTF8": {"ID=\xff", "UTF-8"},
		"too long": {strings.Repeat("#", osrelease.MaxSize+1), "limit"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := osrelease.Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestLookupTellsEmptyFromAbsent(t *testing.T) {
	t.Parallel()
	r, err := osrelease.Parse([]byte("SYSEXT_SCOPE=\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Lookup("SYSEXT_SCOPE"); !ok {
		t.Error("an empty assignment is not seen")
	}
	if _, ok := r.Lookup("SYSEXT_LEVEL"); ok {
		t.Error("a key that is not there is seen")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ID=_any\n", `A="a\"b"'c'd`, "A=\\\n", "=\n=", "A='", "# c\n;d\nB=\" x \" "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := osrelease.Parse(text)
		if err != nil {
			return
		}
		again, err := osrelease.Parse(r.Format())
		if err != nil {
			t.Fatalf("own text is refused: %v", err)
		}
		if diff := cmp.Diff(r.Fields(), again.Fields()); diff != "" {
			t.Fatalf("Format does not read back (-want +got):\n%s", diff)
		}
	})
}
