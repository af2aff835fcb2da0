package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/big"
	"slices"
	"strings"
	"unicode"
)

// maxText bounds a text for people, in runes: a name in a certificate may take
// the whole message.
const maxText = 300

// oneLine makes text from certificates, file names and lists fit for a terminal:
// no control characters, none that turn the direction of writing, not endless.
func oneLine(s string) string {
	runes, n := strings.Builder{}, 0
	for _, r := range s {
		if n++; n > maxText {
			runes.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		runes.WriteRune(r)
	}
	return runes.String()
}

// nameOf names a certificate by its subject.
func nameOf(cert *x509.Certificate) string {
	if name := nameText(cert.Subject); name != "" {
		return name
	}
	return "a certificate without a name (serial number " + serialText(cert.SerialNumber) + ")"
}

func nameText(name pkix.Name) string { return clip(oneLine(name.String()), 100) }

func serialText(serial *big.Int) string {
	if serial == nil {
		return "unknown"
	}
	return clip(serial.Text(16), 40)
}

// clip cuts s after n runes.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// shortPrint is enough of a fingerprint to tell two certificates apart.
func shortPrint(a Anchor) string {
	digest := a.Fingerprint()
	return hex.EncodeToString(digest[:6]) + "…"
}

// joinOrigins adds one origin to a list of them.
func joinOrigins(list, origin string) string {
	if slices.Contains(strings.Split(list, ", "), origin) {
		return list
	}
	return list + ", " + origin
}

// reason is err without the operation and path that the caller says better.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "not there"
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}
