//go:build machines

package machines_test

import (
	"bytes"
	"fmt"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/sfdisk"
)

// mixedStore are good extensions among bad ones of all kinds, enabled for every boot.
type mixedStore struct {
	images  []mixedImage
	signers []keyPair // whom the node trusts
	want    map[string]fate
	// good and bad are the names of the sysexts.
	good, bad []string
}

type mixedImage struct {
	kind       extension.Kind
	name, path string
}

func newMixedStore(t *testing.T) *mixedStore {
	t.Helper()
	signer, rsa, foreign := inlayKeyPair(t, "signer"), newKeyPair(t, "rsa", "rsa2048"), newKeyPair(t, "foreign", "p256")
	s := &mixedStore{signers: []keyPair{signer, rsa}, want: map[string]fate{}}
	add := func(e bootExtension, f fate) {
		k := extension.Sysext()
		if e.confext {
			k = extension.Confext()
		}
		s.images = append(s.images, mixedImage{k, e.name, e.make(t)})
		f.from = "common"
		s.want[k.Name+" "+e.name] = f
		switch {
		case e.confext:
		case f.result == boot.Linked:
			s.good = append(s.good, e.name)
		default:
			s.bad = append(s.bad, e.name)
		}
	}
	for _, e := range []bootExtension{
		{name: "hello", signer: signer},
		{name: "other", signer: signer},
		{name: "rsa", signer: rsa},
		{name: "settings", signer: signer, confext: true},
	} {
		add(e, fate{result: boot.Linked})
	}
	refuse := func(e bootExtension, reason string) { add(e, fate{result: boot.Refused, reason: reason}) }
	refuse(bootExtension{name: "foreign", signer: foreign}, "signed by CN=inlay test foreign")
	refuse(bootExtension{name: "unsigned"}, "not signed")
	refuse(bootExtension{name: "naked", flags: []string{"--filesystem", "squashfs"}, spoil: naked}, "without a hash tree nothing can be signed")
	refuse(bootExtension{name: "data", signer: signer, spoil: func(t *testing.T, image string) { damage(t, image, "data of the extension data") }}, "block")
	refuse(bootExtension{name: "signature", signer: signer, spoil: func(t *testing.T, image string) {
		changed(t, image, func(content []byte, parts []sfdisk.Partition) int64 {
			start := parts[2].Start
			return start + int64(bytes.Index(content[start:], []byte(`"}`))) - 20
		})
	}}, "signature")
	refuse(bootExtension{name: "architecture", signer: signer, flags: []string{"--arch", "arm64"}}, "arm64")
	refuse(bootExtension{name: "release", signer: signer, flags: []string{"--release", "ID=other", "--release", "VERSION_ID=1"}}, "other")
	return s
}

// into puts all of it into a node's store.
func (s *mixedStore) into(n *bootNode) {
	n.t.Helper()
	for i, p := range s.signers {
		n.file(fmt.Sprintf("etc/verity.d/signer%d.crt", i), readFile(n.t, p.certificate))
	}
	for _, i := range s.images {
		n.store(i.kind, i.path, i.name, "common")
	}
}
