package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/config"
	"inlay/internal/hint"
)

// TestLoadGuards has others able to put something else in place of a file, in
// each way there is. A user of another number stands for those who need root.
func TestLoadGuards(t *testing.T) {
	t.Parallel()
	const main, dropIn, oem = "etc/inlay/config.yaml", "etc/inlay/config.d/10.yaml", "oem/90.yaml"
	const sticky = os.ModeSticky
	me, other := os.Geteuid(), os.Geteuid()+1234
	type modes map[string]os.FileMode
	cases := map[string]struct {
		file   string
		links  map[string]string
		modes  modes
		owners map[string][2]int // user and group; -1 leaves it
		user   int
		want   string // "" = taken
		hint   string
	}{
		"as it should be":                 {file: main, user: me},
		"the folder above the drop-ins":   {file: dropIn, modes: modes{"etc/inlay": 0o777}, user: me, want: `anybody may write to the folder "/etc/inlay"`, hint: "chmod o-w "},
		"far above":                       {file: dropIn, modes: modes{"etc": 0o777}, user: me, want: `anybody may write to the folder "/etc"`},
		"the root":                        {file: main, modes: modes{".": 0o777}, user: me, want: `anybody may write to the folder "/"`},
		"above a cloud-config":            {file: oem, modes: modes{".": 0o777}, user: me, want: `anybody may write to the folder "/"`},
		"sticky, far above":               {file: dropIn, modes: modes{"etc": 0o777 | sticky}, user: me},
		"sticky, above":                   {file: main, modes: modes{"etc/inlay": 0o777 | sticky}, user: me},
		"sticky drop-ins":                 {file: dropIn, modes: modes{"etc/inlay/config.d": 0o777 | sticky}, user: me, want: `anybody may write to the folder "/etc/inlay/config.d"`},
		"sticky /oem":                     {file: oem, modes: modes{"oem": 0o777 | sticky}, user: me, want: `anybody may write to the folder "/oem"`},
		"sticky, and somebody else's":     {file: main, modes: modes{"etc": 0o777 | sticky}, owners: map[string][2]int{"etc/inlay": {other, -1}}, user: me, want: `anybody may write to the folder "/etc"`},
		"somebody else's link in sticky":  {file: "srv/x.yaml", links: map[string]string{main: "/srv/x.yaml"}, modes: modes{"etc/inlay": 0o777 | sticky}, owners: map[string][2]int{main: {other, -1}}, user: me, want: `anybody may write to the folder "/etc/inlay"`},
		"somebody else's link":            {file: "srv/x.yaml", links: map[string]string{main: "/srv/x.yaml"}, owners: map[string][2]int{main: {other, -1}}, user: me},
		"where the link leads":            {file: "srv/y/x.yaml", links: map[string]string{main: "/srv/y/x.yaml"}, modes: modes{"srv": 0o777}, user: me, want: `anybody may write to the folder "/srv"`},
		"where the folder's link leads":   {file: "srv/y/10.yaml", links: map[string]string{"etc/inlay/config.d": "../../srv/y"}, modes: modes{"srv/y": 0o777 | sticky}, user: me, want: `anybody may write to the folder "/srv/y"`},
		"half way":                        {file: "srv/x.yaml", links: map[string]string{main: "../../tmp/x.yaml", "tmp/x.yaml": "/srv/x.yaml"}, modes: modes{"tmp": 0o777}, user: me, want: `anybody may write to the folder "/tmp"`},
		"a group":                         {file: main, modes: modes{"etc/inlay": 0o775}, owners: map[string][2]int{"etc/inlay": {-1, other}}, user: me, want: `may write to the folder "/etc/inlay"`, hint: "chmod g-w "},
		"a group, the file":               {file: main, modes: modes{main: 0o664}, owners: map[string][2]int{main: {-1, other}}, user: me, want: "may write to it", hint: "chmod g-w "},
		"root's group":                    {file: main, modes: modes{main: 0o664, "etc/inlay": 0o775}, owners: map[string][2]int{main: {-1, 0}, "etc/inlay": {-1, 0}}, user: other},
		"a group of the user's":           {file: main, modes: modes{main: 0o664}, owners: map[string][2]int{main: {other, other}}, user: other},
		"the user's":                      {file: main, owners: map[string][2]int{main: {other, -1}, "etc": {other, -1}}, user: other},
		"somebody else's":                 {file: main, owners: map[string][2]int{main: {other, -1}}, user: me, want: "it belongs to user ", hint: "chown root "},
		"somebody else's folder":          {file: dropIn, owners: map[string][2]int{"etc/inlay": {other, -1}}, user: me, want: `the folder "/etc/inlay" belongs to user `, hint: "chown root "},
		"somebody else's, in /oem":        {file: oem, owners: map[string][2]int{oem: {other, -1}}, user: me, want: "it belongs to user "},
		"another user's view of root's":   {file: main, user: 0},
		"another user's view of a user's": {file: main, owners: map[string][2]int{main: {other, -1}}, user: 0, want: "it belongs to user "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if me != 0 && (len(c.owners) > 0 || c.user != me) {
				t.Skip("only root can give files away")
			}
			text := "policy: any\n"
			if strings.HasPrefix(c.file, "oem") {
				text = "#cloud-config\ninstall:\n  policy: any\n"
			}
			folder, root := place(t, map[string]string{c.file: text})
			if err := os.Chmod(folder, 0o755); err != nil { // whatever the umask
				t.Fatal(err)
			}
			for link, target := range c.links {
				if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(folder, link)), 0o755), os.Symlink(target, filepath.Join(folder, link))); err != nil {
					t.Fatal(err)
				}
			}
			for name, mode := range c.modes {
				if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
					t.Fatal(err)
				}
			}
			for name, ids := range c.owners {
				if err := os.Lchown(filepath.Join(folder, name), ids[0], ids[1]); err != nil {
					t.Fatal(err)
				}
			}
			got, err := config.Load(root, config.Options{Default: true, User: c.user})
			if c.want == "" {
				if err != nil || got.Policy == nil {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %+v, %v; want an error with %q", got, err, c.want)
			}
			if advice := strings.Join(hint.Of(err), " "); !strings.Contains(advice, c.hint) || !strings.Contains(advice, folder) {
				t.Errorf("the hint is %q, want %q and the place in it", advice, c.hint)
			}
		})
	}
}

// TestLoadUnreadable has a user who may not read what is there.
func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"etc/inlay/config.yaml", "etc/inlay", "oem/90.yaml", "oem"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, root := place(t, map[string]string{"etc/inlay/config.yaml": "policy: any\n", "oem/90.yaml": "#cloud-config\n"})
			path := filepath.Join(folder, name)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Chmod(path, 0o700); err != nil {
					t.Error(err)
				}
			})
			done := make(chan error)
			go func() {
				if os.Geteuid() == 0 {
					// For this thread alone, which ends with the goroutine.
					runtime.LockOSThread()
					if _, err := unix.SetfsuidRetUid(65534); err != nil {
						done <- err
						return
					}
				}
				_, err := config.Load(root, config.Options{Default: true, User: os.Geteuid()})
				done <- err
			}()
			err := <-done
			if !errors.Is(err, fs.ErrPermission) {
				t.Fatalf("error %v", err)
			}
			advice := strings.Join(hint.Of(err), " ")
			for _, want := range []string{"run this as root", "--certificate", "--config"} {
				if !strings.Contains(advice, want) {
					t.Errorf("the hint is %q, want %q in it", advice, want)
				}
			}
		})
	}
}
