// Package trust says whose signatures count. It collects trust anchors, single
// certificates that an administrator or the firmware vouches for, takes away
// what is revoked, and judges CMS signatures and root hashes by the rest.
//
// Anchors come from certificate files, from folders with the precedence and
// masks of systemd's verity.d (see [DefaultFolders]), from bytes that the caller
// has, and from the firmware's PK, KEK and db (UEFI 2.10, section 32), less what
// its dbx revokes, wherever it came from. Deny lists revoke single images by root
// hash.
//
// The rule is systemd's: the signer's own certificate must be an anchor, the
// whole certificate and not only its name, and the signature is checked with the
// anchor's own key. Certificates inside a message name who claims to have signed
// and nothing else, unless the caller opts into chains. Dates count only if they
// are asked for: images have no timestamps, and a node's clock may be wrong.
//
// Nothing here fails open. What cannot be read or understood becomes a [Problem]
// and adds no trust; a revocation that cannot be read takes away the trust that
// it could have limited; the zero [Set] trusts nobody.
//
// Left out on purpose: CRLs and OCSP (a booting node is offline), shim's MOK
// lists, dbt and dbr, and SM3.
package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"inlay/internal/cms"
)

// Anchor is a certificate whose key's signatures are trusted.
type Anchor struct {
	Certificate *x509.Certificate
	// Origin says to people where it comes from: "/etc/verity.d/acme.crt",
	// "firmware db"; several places are joined with ", ".
	Origin string
}

// Fingerprint is the SHA-256 of the whole certificate in DER, as
// `openssl x509 -fingerprint -sha256` prints it.
func (a Anchor) Fingerprint() [32]byte { return sha256.Sum256(a.Certificate.Raw) }

// Problem is something that was not used, or cannot be, and why. It never adds
// trust. Both texts are single lines fit for a terminal.
type Problem struct {
	Origin string `json:"origin"`
	Text   string `json:"text"`
}

// Given is certificates in PEM that the caller has as bytes.
type Given struct {
	Origin string
	PEM    []byte
}

// Options says where anchors and revocations come from. Nothing is taken unless
// it is named here.
type Options struct {
	// Root is what all paths here lie below, with a leading slash or without.
	// Links are followed inside of it only, absolute ones from its top. It may
	// be nil if no path is named.
	Root *os.Root
	// System has the firmware's variables, if that is another root than Root: that of
	// an initial RAM disk, say, while Root is of the system that it starts.
	System *os.Root
	// Given are certificates handed over as bytes.
	Given []Given
	// Files are certificate files in PEM. One that is missing is a Problem.
	Files []string
	// Folders hold certificate files, NAME.crt, in order of precedence: a name
	// in an earlier folder hides the same name in later ones, and a link to
	// /dev/null hides it without giving a certificate. A folder that is missing
	// is empty, and a Problem if it is none of DefaultFolders. Hidden files don't
	// count.
	Folders []string
	// Firmware takes PK, KEK and db as anchors, if Secure Boot is on and out of
	// setup mode, and relies on dbx: if what dbx revokes cannot be told, there are
	// no anchors at all, of whatever kind. That goes for a dbx that is malformed or
	// unreadable, and for variables that a machine with UEFI does not show; one
	// without UEFI has nothing to tell.
	//
	// Without it, dbx still revokes any anchor wherever it can be read: below Root,
	// where variables are. If it cannot, that is a Problem and no more.
	Firmware bool
	// EFIVars is where efivarfs is mounted; "" is sys/firmware/efi/efivars. Whoever
	// names it says that there is UEFI.
	EFIVars string
	// VendorCAs keeps those anchors of the firmware that belong to vendors who
	// sign everybody's boot loaders (Microsoft).
	VendorCAs bool
	// Chains also trusts signers that an anchor issued, directly or through
	// certificates in the message: see [Set.Judge].
	Chains bool
	// Fingerprints, if there are any, are the only anchors that count: SHA-256
	// of the certificate in hexadecimal digits, colons allowed. They never make
	// an anchor of a certificate that is none. Who signs deny lists needs no pin.
	Fingerprints []string
	// Narrower are fingerprints, too: where there are some of both, only an anchor
	// that is among both counts.
	Narrower []string
	// DenyLists are signed lists of root hashes that count no longer. Anchors sign
	// them, pinned or not, and DenyAnchors.
	DenyLists []DenyFile
	// DenyFolders hold deny lists, NAME.deny with the signature NAME.deny.p7s.
	// All of them count; none hides another. A folder that is missing is empty.
	DenyFolders []string
	// DenyAnchors may sign deny lists too, and nothing else. A question that is
	// about one key says here whom the machine trusts otherwise: its lists count
	// whatever is asked, and one that nobody vouches for refuses every image.
	DenyAnchors Places
	// Carried says that nobody comes to be trusted by what is put on the disk, which
	// is what is advised then: see [Boot].
	Carried bool
}

// DefaultFolders returns systemd's verity.d folders, the strongest first.
func DefaultFolders() []string {
	return []string{"etc/verity.d", "run/verity.d", "usr/local/lib/verity.d", "usr/lib/verity.d"}
}

// DefaultDenyFolders returns the folders of deny lists.
func DefaultDenyFolders() []string {
	return []string{"etc/inlay/deny.d", "run/inlay/deny.d", "usr/lib/inlay/deny.d"}
}

// Set is who is trusted. Its methods may be called at the same time from several
// goroutines. The zero Set trusts nobody.
type Set struct {
	// Anchors are trusted: revoked certificates, and those that pins or the
	// vendor rule leave out, are not among them.
	Anchors []Anchor
	// Problems are what was found and not used.
	Problems []Problem
	// Named says that somebody was named to be trusted, whether or not that
	// could be used: with it, no anchors are no sign that nobody cares.
	Named bool

	chains  bool
	carried bool       // on a trusted boot: what the disk holds adds nobody
	revoked []Anchor   // would be anchors, had they not been revoked
	left    []excluded // would be anchors, had the options not left them out
	dbx     revocations
	blind   bool // struck are all, since what dbx revokes cannot be told
	denials map[[32]byte]string
	denyErr error
}

// excluded is a certificate that is no anchor, with the reason for people, a
// relative clause without "which"; pins says that it is for want of a pin.
type excluded struct {
	Anchor
	why  string
	pins bool
}

// Load collects anchors and revocations. It fails only if o is misused: a path
// without Root, or a fingerprint that is none. Whatever is wrong with what it
// finds becomes a [Problem].
func Load(o Options) (*Set, error) {
	pins, err := parsePins(o.Fingerprints)
	if err != nil {
		return nil, err
	}
	narrower, err := parsePins(o.Narrower)
	if err != nil {
		return nil, err
	}
	named := len(o.DenyFolders) > 0
	for _, p := range []Places{o.Places(), o.DenyAnchors} {
		named = named || len(p.Files) > 0 || len(p.Folders) > 0 || p.Firmware
	}
	if o.System == nil {
		o.System = o.Root
	}
	if o.Root == nil && named {
		return nil, errors.New("loading trust anchors: paths are named, and no root folder to find them in")
	}
	l := &loader{options: o, set: &Set{chains: o.Chains, carried: o.Carried}, index: make(map[[32]byte]int)}
	l.revocations()
	l.collect(o.Places())
	l.strikeRevoked()
	l.strikeBlind()
	l.unpinned = slices.Clone(l.set.Anchors)
	l.strikeUnpinned(pins)
	l.strikeUnpinned(narrower)
	l.set.Named = l.set.Named || len(pins)+len(narrower) > 0
	l.denyLists()
	return l.set, nil
}

// loader is the state of one Load.
type loader struct {
	options Options
	set     *Set
	index   map[[32]byte]int // of anchors, by fingerprint
	absent  error            // why there are no variables of the firmware
	blind   error            // why what its dbx revokes cannot be told

	unpinned []Anchor // those that pins have not narrowed
	signers  *Set     // of deny lists, once there is one
}

func (l *loader) problem(origin, format string, args ...any) {
	l.set.Problems = append(l.set.Problems, Problem{Origin: oneLine(origin), Text: oneLine(fmt.Sprintf(format, args...))})
}

// know keeps a certificate at hand for finding out what a revoked one issued.
func (l *loader) know(cert *x509.Certificate) { l.set.dbx.known = append(l.set.dbx.known, cert) }

// add makes cert an anchor if its key can be one. A certificate that is an
// anchor already gets a second origin.
func (l *loader) add(cert *x509.Certificate, origin string) {
	origin = oneLine(origin)
	a := Anchor{Certificate: cert, Origin: origin}
	if err := cms.CheckKey(cert.PublicKey); err != nil {
		l.problem(origin, "%s has an %v: it cannot be trusted", nameOf(cert), err)
		return
	}
	digest := a.Fingerprint()
	if at, ok := l.index[digest]; ok {
		l.set.Anchors[at].Origin = joinOrigins(l.set.Anchors[at].Origin, origin)
		return
	}
	l.index[digest] = len(l.set.Anchors)
	l.set.Anchors = append(l.set.Anchors, a)
}
