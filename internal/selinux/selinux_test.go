package selinux_test

import (
	"strings"
	"testing"

	"inlay/internal/selinux"
)

const policy = `
# a comment
/usr/.*                 system_u:object_r:usr_t:s0
/usr/bin(/.*)?          system_u:object_r:bin_t:s0
/usr/bin/passwd  --     system_u:object_r:passwd_exec_t:s0
/usr/lib(64)?/.+\.so    system_u:object_r:lib_t:s0
/usr/s?bin/odd          system_u:object_r:odd_t:s0
/usr/(a|b)/x            system_u:object_r:ab_t:s0
/usr/one(/x)?|/usr/two  system_u:object_r:two_t:s0
/usr/run/.*             <<none>>
/usr/folder      -d     system_u:object_r:folder_t:s0
`

func TestLabel(t *testing.T) {
	t.Parallel()
	contexts, err := selinux.Parse(strings.NewReader(policy))
	if err != nil {
		t.Fatal(err)
	}
	const file, folder = 0o100755, 0o040755
	cases := map[string]struct {
		path string
		mode uint32
		want string
	}{
		"general":                       {"/usr/share/x", file, "usr_t"},
		"the folder itself":             {"/usr/bin", folder, "bin_t"},
		"below the folder":              {"/usr/bin/ls", file, "bin_t"},
		"literal before the last":       {"/usr/bin/passwd", file, "passwd_exec_t"},
		"literal of another type":       {"/usr/bin/passwd", folder, "bin_t"},
		"optional group":                {"/usr/lib64/a.so", file, "lib_t"},
		"escaped dot":                   {"/usr/lib/aXso", file, "usr_t"},
		"optional letter there":         {"/usr/sbin/odd", file, "odd_t"},
		"optional letter not there":     {"/usr/bin/odd", file, "odd_t"},
		"alternatives":                  {"/usr/b/x", file, "ab_t"},
		"alternative outside a group":   {"/usr/two", file, "two_t"},
		"none is a label of its own":    {"/usr/run/x", file, ""},
		"nothing matches":               {"/opt/x", file, ""},
		"a folder only":                 {"/usr/folder", folder, "folder_t"},
		"not for a file of that name":   {"/usr/folder", file, "usr_t"},
		"anchored at the end as well":   {"/usr/bin2/odd", file, "usr_t"},
		"anchored at the start as well": {"/x/usr/bin/odd", file, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if want != "" {
				want = "system_u:object_r:" + want + ":s0"
			}
			if got, _ := contexts.Label(c.path, c.mode); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"one field":    {"/usr\n", "line 1"},
		"file type":    {"\n/usr -x a:b:c\n", "line 2"},
		"label":        {"/usr nonsense\n", "no label"},
		"expression":   {"/usr( a:b:c\n", "expression"},
		"endless line": {strings.Repeat("x", 1<<20), "file contexts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := selinux.Parse(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(policy, "/usr/bin/passwd")
	f.Add("/a? x:y:z\n/(b|c)* -- x:y:z", "/")
	f.Fuzz(func(_ *testing.T, text, path string) {
		if len(text) > 1<<12 {
			return
		}
		contexts, err := selinux.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		contexts.Label(path, 0o100644)
	})
}
