package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

const (
	// maxSetting bounds one file of systemd's configuration, in bytes, and
	// maxSettings how many drop-ins there may be.
	maxSetting  = 64 << 10
	maxSettings = 1 << 10
)

// setting returns what systemd's configuration (sysext.conf(5), below the root,
// with its drop-ins) says about a key, "" if nothing, and in which file.
func setting(root *os.Root, k extension.Kind, key string) (value, origin string, err error) {
	files, err := settingFiles(root, k)
	if err != nil {
		return "", "", err
	}
	for _, name := range files {
		text, err := rooted.ReadFile(root, name, maxSetting)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, rooted.ErrDangling) {
			continue
		}
		if err != nil {
			return "", "", fmt.Errorf("reading %q: %w", "/"+name, err)
		}
		if v, found := assigned(string(text), section(k), key); found {
			value, origin = v, "/"+name
		}
	}
	return value, origin, nil
}

// section is the name of a kind's section: "SysExt".
func section(k extension.Kind) string {
	stem := strings.TrimSuffix(k.Name, "ext")
	return strings.ToUpper(stem[:1]) + stem[1:] + "Ext"
}

// settingFiles returns the files that count, the weakest first: of the main file
// the first that is there, then the drop-ins by name, of each name the first.
func settingFiles(root *os.Root, k extension.Kind) ([]string, error) {
	main := k.Name + ".conf"
	var files []string
	dropIns := map[string]string{}
	for _, folder := range []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"} {
		at := path.Join(folder, main)
		if _, err := rooted.Resolve(root, at); err == nil && len(files) == 0 {
			files = append(files, at)
		}
		names, err := rooted.ReadNames(root, at+".d", maxSettings)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, rooted.ErrDangling) {
			return nil, fmt.Errorf("reading %q: %w", "/"+at+".d", err)
		}
		for _, name := range names {
			if _, taken := dropIns[name]; !taken && strings.HasSuffix(name, ".conf") {
				dropIns[name] = path.Join(at+".d", name)
			}
		}
	}
	var names []string
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		// A link to /dev/null hides the name without saying anything.
		if at, err := rooted.Resolve(root, dropIns[name]); err == nil && at == rooted.Null {
			continue
		}
		files = append(files, dropIns[name])
	}
	return slices.DeleteFunc(files, func(name string) bool {
		at, err := rooted.Resolve(root, name)
		return err == nil && at == rooted.Null
	}), nil
}

// assigned returns the last value of a key in a section of a file of systemd's.
func assigned(text, section, key string) (value string, found bool) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			inside = line == "["+section+"]"
		case inside:
			if k, v, ok := strings.Cut(line, "="); ok && strings.TrimSpace(k) == key {
				value, found = strings.TrimSpace(v), true
			}
		}
	}
	return value, found
}
