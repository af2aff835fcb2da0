package trust

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// pin is the fingerprint of a certificate.
type pin [32]byte

func parsePins(texts []string) ([]pin, error) {
	var pins []pin
	for _, text := range texts {
		b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(b) != len(pin{}) {
			return nil, hint.Wrap(fmt.Errorf("reading the fingerprint %q: not the 64 hexadecimal digits of a SHA-256", oneLine(text)),
				"print one with openssl x509 -in FILE -noout -fingerprint -sha256")
		}
		pins = append(pins, pin(b))
	}
	return pins, nil
}

// strikeUnpinned takes out the anchors that no pin names, if there are pins.
func (l *loader) strikeUnpinned(pins []pin) {
	if len(pins) == 0 || l.set.blind {
		return
	}
	used := make(map[pin]bool)
	l.set.Anchors = slices.DeleteFunc(l.set.Anchors, func(a Anchor) bool {
		digest := pin(a.Fingerprint())
		if slices.Contains(pins, digest) {
			used[digest] = true
			return false
		}
		l.set.left = append(l.set.left, excluded{a, "is in " + a.Origin + " but not among the pinned fingerprints", true})
		return true
	})
	for _, p := range pins {
		if !used[p] {
			l.problem("pinned fingerprints", "no trusted certificate has %x", p)
		}
	}
}
