package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"inlay/internal/hint"
)

// Boot says how the boot step goes about it.
type Boot struct {
	// Tries is how many boots an extension gets to be part of a good one, 0 as many as
	// there are; nil if no file says anything.
	Tries *int
	// ImageTime and Time bound the step for one image and for all; 0 if no file says
	// anything.
	ImageTime, Time time.Duration
	// Strict leaves out images of which not every block could be read in that time;
	// nil means false.
	Strict *bool
	// AllowOwnTrust lets in extensions that bring keys, or settings of the merge; nil
	// means false. On a trusted boot only what the signed image says counts.
	AllowOwnTrust *bool
	// Bundles are the digests, sha256:…, of the images that a trusted boot runs or lays
	// into the system; only what the signed image says counts.
	Bundles []string
}

// Bounds of what may be configured. Less time than the first leaves out every image,
// more than the second is no bound to those who wait for the boot.
const (
	minTime  = time.Second
	maxTime  = 10 * time.Minute
	maxTries = 100
)

func (b *Boot) merge(later *Boot) {
	override(&b.Tries, later.Tries)
	override(&b.Strict, later.Strict)
	override(&b.AllowOwnTrust, later.AllowOwnTrust)
	if later.ImageTime != 0 {
		b.ImageTime = later.ImageTime
	}
	if later.Time != 0 {
		b.Time = later.Time
	}
	b.Bundles = append(b.Bundles, later.Bundles...)
}

func (b *Boot) fields(d *document) fields {
	return fields{
		"tries":           d.tries(&b.Tries),
		"image_time":      d.time(&b.ImageTime),
		"time":            d.time(&b.Time),
		"strict":          d.truth(&b.Strict),
		"allow_own_trust": d.truth(&b.AllowOwnTrust),
		"bundles":         d.each(d.digest(&b.Bundles)),
	}
}

func (d *document) tries(to **int) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.digits(n)
		if err != nil {
			return err
		}
		tries, err := strconv.Atoi(text)
		if err != nil || tries < 0 || tries > maxTries {
			return d.at(n, hint.Wrap(fmt.Errorf("%q is no number of boots", text), fmt.Sprintf("write a number up to %d; 0 leaves nothing out", maxTries)))
		}
		*to = &tries
		return nil
	}
}

// time takes a duration.
func (d *document) time(to *time.Duration) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.digits(n)
		if err != nil {
			return err
		}
		t, err := time.ParseDuration(text)
		if err != nil || t < minTime || t > maxTime {
			return d.at(n, hint.Wrap(fmt.Errorf("%q is no time that is taken here", text), fmt.Sprintf("write one with its unit, such as 20s or 1m30s, from %v to %v", minTime, maxTime)))
		}
		*to = t
		return nil
	}
}

// digest takes the digest of an image.
func (d *document) digest(to *[]string) func(ast.Node) error {
	return func(n ast.Node) error {
		text, err := d.text(n)
		if err != nil {
			return err
		}
		digits, found := strings.CutPrefix(text, "sha256:")
		if b, err := hex.DecodeString(digits); !found || err != nil || len(b) != 32 || strings.ToLower(digits) != digits {
			return d.at(n, hint.Wrap(errors.New("this is no digest of an image"), "write sha256: and 64 hexadecimal digits in lower case"))
		}
		*to = append(*to, text)
		return nil
	}
}
