package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
)

// ownTrust are the places by which an extension would decide on whom the system
// trusts, or on how it merges: certificates, our configuration, further extensions,
// the settings and the units of those who merge.
func ownTrust() []string {
	places := []string{"etc/inlay", "usr/lib/inlay", "usr/lib/extensions", "usr/local/lib/extensions", "etc/extensions", "usr/lib/confexts", "usr/local/lib/confexts"}
	for _, folder := range []string{"etc", "usr/local/lib", "usr/lib"} {
		places = append(places, folder+"/verity.d")
		for _, k := range extension.Kinds() {
			places = append(places, folder+"/systemd/"+k.Name+".conf", folder+"/systemd/"+k.Name+".conf.d")
		}
		units := []string{"inlay-boot.service", "inlay-boot-good.service"}
		for _, k := range extension.Kinds() {
			units = append(units, k.Unit)
		}
		for _, of := range []string{"system", "system.control", "system.attached"} {
			// Drop-ins count for all units whose names begin so, too.
			for _, all := range []string{"service.d", "systemd-.service.d", "inlay-.service.d", "inlay-boot-.service.d"} {
				places = append(places, folder+"/systemd/"+of+"/"+all)
			}
			for _, unit := range units {
				places = append(places, folder+"/systemd/"+of+"/"+unit, folder+"/systemd/"+of+"/"+unit+".d")
			}
		}
	}
	return places
}

// checkOwnTrust refuses an extension that serves its own merge, or the next one.
func (c *course) checkOwnTrust(context.Context) (State, string, error) {
	if c.tree == nil {
		return "", "", errors.New("its files could not be read, so nobody can tell whether it brings keys to trust, or settings of the merge")
	}
	for _, name := range ownTrust() {
		there, err := brings(c.tree, name)
		if err != nil {
			return "", "", err
		}
		if there {
			return "", "", hint.Wrap(fmt.Errorf("it brings /%s, by which it would decide whom this system trusts, or what is merged", name),
				"build it without that; or, if it is meant so, have the image's /usr/lib/inlay/config.yaml say boot: allow_own_trust: true")
		}
	}
	return Passed, "it brings no keys to trust, and no settings of the merge", nil
}

// brings says whether a tree has something under a name, or leads to where nobody
// can tell: a link above it whose target is the host's.
func brings(t *content.Tree, name string) (bool, error) {
	parts := strings.Split(name, "/")
	for n := range parts {
		at := path.Join(parts[:n+1]...)
		f, err := t.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n == len(parts)-1 {
			return true, nil
		}
		switch f.Type() {
		case content.TypeFolder:
			if hasOverlayAttribute(f) {
				return false, hiding(at)
			}
			continue
		case content.TypeLink:
			if at != "usr/local" && !strings.HasPrefix(at, "usr/local/") {
				return false, hiding(at) // wherever it leads
			}
		default: // a whiteout, say
			return false, hiding(at)
		}
		// The link takes the place of the host's folder, whose content is that of the
		// target then: the extension's own or, where that has none, the host's.
		switch _, _, err := t.Resolve(at); {
		case errors.Is(err, fs.ErrNotExist):
			return false, hint.Wrap(fmt.Errorf("its /%s is a link out of the extension, so nobody can tell what would lie at /%s", at, name), "build it with a folder there")
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

// hiding refuses what would take away the system's own settings, as a whiteout or a
// folder does that hides the host's.
func hiding(at string) error {
	return hint.Wrap(fmt.Errorf("its /%s would hide the system's own settings of the merge", at), "build it with a plain folder there")
}
