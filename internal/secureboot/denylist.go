package secureboot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/trust"
)

// DenyList returns a list of root hashes that count no longer, in the form that
// [trust.ParseDenyList] reads, and its detached signature: the files NAME.deny and
// NAME.deny.p7s of a node. The hashes are put in order, and each stands there once,
// with the reason that was given first. The pair may be of any kind of key that
// signs extensions; nodes believe the list if its certificate is one of their
// anchors.
func DenyList(denials []trust.Denial, by keys.Pair) (text, signature []byte, err error) {
	if text, err = denyText(denials); err == nil {
		signature, err = signDenyList(text, by)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("writing a deny list: %w", err)
	}
	return text, signature, nil
}

func denyText(denials []trust.Denial) ([]byte, error) {
	if len(denials) == 0 {
		return nil, errors.New("nothing is named")
	}
	byRoot := func(a, b trust.Denial) int { return bytes.Compare(a.Root[:], b.Root[:]) }
	sorted := slices.SortedStableFunc(slices.Values(denials), byRoot)
	sorted = slices.CompactFunc(sorted, func(a, b trust.Denial) bool { return a.Root == b.Root })
	var b strings.Builder
	b.WriteString("inlay deny list 1\n")
	for i := range sorted {
		d := &sorted[i]
		d.Reason = strings.TrimSpace(d.Reason)
		b.WriteString(strings.TrimSpace(hex.EncodeToString(d.Root[:])+" "+d.Reason) + "\n")
	}
	// A reason may break the list, or become a line of its own.
	read, err := trust.ParseDenyList([]byte(b.String()))
	if err == nil && !slices.Equal(read, sorted) {
		err = errors.New("a reason is more than one line")
	}
	if err != nil {
		return nil, hint.Wrap(err, "give reasons of one line, without control characters")
	}
	return []byte(b.String()), nil
}

func signDenyList(text []byte, by keys.Pair) ([]byte, error) {
	if err := checkPair(by); err != nil {
		return nil, err
	}
	return cms.Sign(text, by.Certificate, by.Signer)
}
