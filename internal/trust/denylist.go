package trust

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/rooted"
)

const (
	// maxDenyList bounds a deny list, in bytes: about 100 000 images.
	maxDenyList = 8 << 20
	// maxDenyLine bounds a line of one, in bytes.
	maxDenyLine = 1024

	denyHeader      = "inlay deny list 1"
	denySuffix      = ".deny"
	signatureSuffix = ".p7s"
)

// DenyFile is a deny list with its signature.
type DenyFile struct {
	Origin string
	// Text is what [ParseDenyList] reads.
	Text []byte
	// Signature is a detached CMS signature over Text, in DER.
	Signature []byte
}

// Denial is an image that counts no longer.
type Denial struct {
	// Root is the root hash of its hash tree.
	Root [32]byte
	// Reason is for people, may be empty, and is one line.
	Reason string
}

// ParseDenyList reads a deny list. Its first line is `inlay deny list 1`; each
// line after it is empty, or a comment that begins with '#', or a root hash in 64
// hexadecimal digits in lower case, optionally followed by a space and free text:
// the image's name, the reason. The text is UTF-8 without control characters,
// lines end with a newline and have at most 1024 bytes, the list at most 8 MiB.
// An error names the line. Whether the list may be believed is another question.
func ParseDenyList(text []byte) ([]Denial, error) {
	denials, err := parseDenyList(text)
	if err != nil {
		return nil, fmt.Errorf("reading a deny list: %w", err)
	}
	return denials, nil
}

func parseDenyList(text []byte) ([]Denial, error) {
	if len(text) > maxDenyList {
		return nil, fmt.Errorf("%d bytes: too large, at most %d are read", len(text), maxDenyList)
	}
	var denials []Denial
	for number := 1; len(text) > 0 || number == 1; number++ {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		text = rest
		switch {
		case number == 1 && (string(line) != denyHeader || !ended):
			return nil, fmt.Errorf("line 1: not %q", denyHeader)
		case number == 1:
			continue
		case !ended:
			return nil, fmt.Errorf("line %d: it does not end with a newline", number)
		case len(line) > maxDenyLine:
			return nil, fmt.Errorf("line %d: longer than %d bytes", number, maxDenyLine)
		case !utf8.Valid(line):
			return nil, fmt.Errorf("line %d: not UTF-8", number)
		case bytes.ContainsFunc(line, unicode.IsControl):
			return nil, fmt.Errorf("line %d: a control character (lines end with a newline alone)", number)
		case len(line) == 0 || line[0] == '#':
			continue
		}
		d, err := parseDenial(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		denials = append(denials, d)
	}
	return denials, nil
}

func parseDenial(line string) (Denial, error) {
	digits, text, _ := strings.Cut(line, " ")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 32 || digits != strings.ToLower(digits) {
		return Denial{}, errors.New("not a root hash, 64 hexadecimal digits in lower case")
	}
	return Denial{Root: [32]byte(b), Reason: strings.TrimSpace(text)}, nil
}

// denyLists reads and checks all deny lists.
func (l *loader) denyLists() {
	for _, d := range l.options.DenyLists {
		l.deny(d)
	}
	for _, folder := range l.options.DenyFolders {
		names, err := rooted.ReadNames(l.options.Root, folder, maxNames)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			l.denyFault(shown(folder), err)
			continue
		}
		for _, name := range names {
			if strings.HasSuffix(name, denySuffix) {
				l.denyFile(folder + "/" + name)
			}
		}
	}
	if l.set.denyErr == nil || l.signers == nil {
		return
	}
	// It may be why a list is not believed.
	for _, p := range l.signers.Problems {
		if !slices.Contains(l.set.Problems, p) {
			l.set.Problems = append(l.set.Problems, p)
		}
	}
}

func (l *loader) denyFile(name string) {
	text, err := rooted.ReadFile(l.options.Root, name, maxDenyList)
	if err != nil {
		l.denyFault(shown(name), err)
		return
	}
	signature, err := rooted.ReadFile(l.options.Root, name+signatureSuffix, cms.MaxSize)
	if err != nil {
		l.denyFault(shown(name), fmt.Errorf("its signature, %s: %s", shown(name+signatureSuffix), reason(err)))
		return
	}
	l.deny(DenyFile{shown(name), text, signature})
}

// deny takes up a deny list, if one who may has signed it. Its signature is judged
// before the list is read.
func (l *loader) deny(d DenyFile) {
	if len(d.Signature) == 0 {
		l.denyFault(d.Origin, errors.New("it has no signature"))
		return
	}
	sd, err := cms.Parse(d.Signature)
	if err != nil {
		l.denyFault(d.Origin, err)
		return
	}
	if j := l.denySigners().Judge(sd, d.Text, JudgeOptions{}); j.Standing != Trusted {
		l.denyFault(d.Origin, errors.New(j.Reason))
		return
	}
	denials, err := ParseDenyList(d.Text)
	if err != nil {
		l.denyFault(d.Origin, err)
		return
	}
	if l.set.denials == nil {
		l.set.denials = make(map[[32]byte]string)
	}
	for _, denial := range denials {
		if _, ok := l.set.denials[denial.Root]; ok {
			continue
		}
		text := "deny list " + d.Origin
		if denial.Reason != "" {
			text = denial.Reason + " (" + text + ")"
		}
		l.set.denials[denial.Root] = oneLine(text)
	}
}

// denyFault notes a deny list that cannot be believed: nothing is believed then.
func (l *loader) denyFault(origin string, err error) {
	origin = oneLine(origin)
	l.problem(origin, "this deny list cannot be trusted, so no image is: %s", reason(err))
	if l.set.denyErr == nil {
		l.set.denyErr = hint.Wrap(fmt.Errorf("reading deny list %q: %s", origin, oneLine(reason(err))),
			"sign the list again with a trusted key, or remove it if it is not yours")
	}
}

// Denied says whether a trusted deny list names the image with this root hash,
// and why. With an error, a deny list is there that cannot be trusted or read:
// nobody knows what it denies, so every image must be refused; denied is true
// then too.
func (s *Set) Denied(root [32]byte) (reason string, denied bool, err error) {
	if s == nil {
		return "", false, nil
	}
	if text, ok := s.denials[root]; ok {
		return text, true, nil
	}
	if s.denyErr != nil {
		return "", true, s.denyErr
	}
	return "", false, nil
}
