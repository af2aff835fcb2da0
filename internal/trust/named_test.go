package trust_test

import (
	"testing"

	"inlay/internal/trust"
)

// TestNamed: whether anybody was named to be trusted doesn't depend on whether
// that could be used, nor on what only takes trust away.
func TestNamed(t *testing.T) {
	t.Parallel()
	const dbx = "sys/firmware/efi/efivars/dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
	for name, c := range map[string]struct {
		files    map[string]string
		options  trust.Options
		want     bool
		problems []string
	}{
		"nothing":           {},
		"an empty folder":   {files: map[string]string{"etc/verity.d/README": ""}},
		"a masked file":     {files: map[string]string{"etc/verity.d/a.crt": "-> /dev/null"}},
		"a broken file":     {files: map[string]string{"etc/verity.d/a.crt": "hello"}, want: true, problems: []string{"/etc/verity.d/a.crt: no certificate in PEM"}},
		"a missing file":    {options: trust.Options{Files: []string{"a.pem"}}, want: true, problems: []string{"/a.pem: not used: not there"}},
		"a missing folder":  {options: trust.Options{Folders: []string{"/a"}}, want: true, problems: []string{"/a: not used: not there"}},
		"nothing in bytes":  {options: trust.Options{Given: []trust.Given{{Origin: "x"}}}, want: true, problems: []string{"x: empty"}},
		"a pin":             {options: trust.Options{Fingerprints: []string{"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"}}, want: true, problems: []string{"pinned fingerprints: no trusted certificate has"}},
		"the firmware":      {options: trust.Options{Firmware: true}, want: true, problems: []string{"firmware: no variables"}},
		"only a broken dbx": {files: map[string]string{dbx: "\x07\x00\x00\x00rubbish"}, problems: []string{"firmware dbx: what it revokes is not heeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Root = folder(t, c.files)
			c.options.Folders = append(trust.DefaultFolders(), c.options.Folders...)
			set := load(t, c.options)
			if set.Named != c.want {
				t.Errorf("named: %v, want %v", set.Named, c.want)
			}
			checkLines(t, set, c.problems...)
		})
	}
}
