package diff

import (
	"encoding/hex"
	"errors"
	"fmt"

	"inlay/internal/cms"
	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/extension"
)

// fact is one thing to compare.
type fact struct{ what, value string }

// changes are the facts that differ, in the order of a, then of b.
func changes(a, b []fact) []Change {
	list := []Change{}
	value := func(facts []fact, what string) (string, bool) {
		for _, f := range facts {
			if f.what == what {
				return f.value, true
			}
		}
		return "", false
	}
	for _, f := range a {
		if other, _ := value(b, f.what); other != f.value {
			list = append(list, Change{f.what, f.value, other})
		}
	}
	for _, f := range b {
		if _, there := value(a, f.what); !there && f.value != "" {
			list = append(list, Change{f.what, "", f.value})
		}
	}
	return list
}

// facts are what an extension is, without its files.
func (r *Result) facts(path string, s *side) []fact {
	facts := []fact{{"form", s.Form}}
	switch {
	case s.Image != nil:
		section := s.Image.FileSystem()
		kind, _ := content.Probe(section, section.Size())
		facts = append(facts, fact{"fileSystem", kind}, fact{"architecture", s.Image.Architecture})
		facts = append(facts, r.vouched(path, s.Image)...)
	case s.Naked != nil:
		kind, _ := content.Probe(s.Naked, s.Size)
		facts = append(facts, fact{"fileSystem", kind})
	}
	return facts
}

// vouched is what an image says of who vouches for its content.
func (r *Result) vouched(path string, image *ddi.Image) []fact {
	var facts []fact
	root, err := image.RootHash()
	switch {
	case err == nil:
		facts = append(facts, fact{"rootHash", hex.EncodeToString(root[:])})
	case !errors.Is(err, ddi.ErrNoVerity):
		r.unread(path, fmt.Errorf("root hash: %w", err))
	}
	signature, err := image.Signature()
	switch {
	case errors.Is(err, ddi.ErrUnsigned):
		return append(facts, fact{"signature", "unsigned"})
	case errors.Is(err, ddi.ErrDeferred):
		return append(facts, fact{"signature", "deferred"})
	}
	facts = append(facts, fact{"signature", "present"})
	if err != nil {
		r.unread(path, fmt.Errorf("signature: %w", err))
		return facts
	}
	parsed, err := cms.Parse(signature.PKCS7)
	if err != nil {
		r.unread(path, fmt.Errorf("signature: %w", err))
		return facts
	}
	signer := fmt.Sprintf("serial %s of %s", parsed.Serial.Text(16), parsed.Issuer)
	if certificate := parsed.Signer(); certificate != nil {
		signer = certificate.Subject.String()
	}
	facts = append(facts, fact{"signer", signer})
	if signature.Fingerprint != [32]byte{} {
		facts = append(facts, fact{"fingerprint", hex.EncodeToString(signature.Fingerprint[:])})
	}
	return facts
}

// release is what the release files of an extension say, and which they are.
func (r *Result) release(path string, s *side) []fact {
	var facts []fact
	for _, k := range extension.Kinds() {
		found, _, err := s.tree.Release(k, extension.TrimSuffix(s.name))
		if err != nil {
			r.unread(path, fmt.Errorf("release file: %w", err))
		}
		if found == nil {
			continue
		}
		facts = append(facts, fact{k.Name + " name", found.Name})
		for _, f := range found.Release.Fields() {
			facts = append(facts, fact{k.Name + " " + f.Key, f.Value})
		}
	}
	return facts
}
