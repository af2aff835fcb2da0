package verify

import (
	"time"

	"inlay/internal/extension"
	"inlay/internal/trust"
)

// Result is what it comes to.
type Result string

// The results, from best to worst. There is no zero result: a verdict that was
// not reached is Unreadable.
const (
	Good         Result = "good"         // every check that the policy asks for has passed
	Incompatible Result = "incompatible" // to be trusted, but this host would not take it
	Missing      Result = "missing"      // there is no such file
	Unreadable   Result = "unreadable"   // the medium or the rights to it failed, not the image
	Refused      Result = "refused"      // not to be trusted
)

// Protection is what keeps the content from being changed unnoticed.
type Protection string

// The protections, from none to the best.
const (
	Unprotected Protection = "unprotected" // nothing: anybody who can write to it can change it
	Verity      Protection = "verity"      // a hash tree whose root hash nobody vouches for
	Signed      Protection = "signed"      // a hash tree whose root hash a trusted key has signed
)

// Name is the name of a check; they are stable.
type Name string

// The checks, in their order.
const (
	CheckTable        Name = "table"        // partition table, partitions and their types
	CheckSuperblock   Name = "superblock"   // of the hash tree, and how it fits
	CheckRootHash     Name = "root-hash"    // all who state it agree
	CheckDenyList     Name = "deny-list"    // it has not been revoked
	CheckSignature    Name = "signature"    // whose it is
	CheckPolicy       Name = "policy"       // what was found is enough
	CheckTree         Name = "tree"         // the data is what was hashed
	CheckRelease      Name = "release"      // name and release file fit each other
	CheckArchitecture Name = "architecture" // release file and partition types fit each other
	CheckHost         Name = "host"         // this host takes it; only if asked
)

// State is how a check ended.
type State string

// The states of a check. Only Failed refuses.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Nothing State = "nothing" // there is nothing to check, which the policy allows
	Unread  State = "unread"  // it could not be looked at, which changes no trust
	Skipped State = "skipped" // an earlier check failed
)

// Check is one check and what it found.
type Check struct {
	Check Name   `json:"check"`
	State State  `json:"state"`
	Found string `json:"found,omitempty"`
}

// Refusal says why not.
type Refusal struct {
	Check  Name     `json:"check"`
	Reason string   `json:"reason"`
	Hints  []string `json:"hints,omitempty"`
}

// Signer is a certificate: of whoever signed, or claims to have.
type Signer struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"`
	Algorithm   string    `json:"algorithm"` // of the key: "RSA 2048", "ECDSA P-256"
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	KeyUsage    []string  `json:"keyUsage,omitempty"`
	// Trusted says that the signature is by this certificate's key and that
	// an anchor vouches for it. Otherwise all of this is a claim.
	Trusted bool `json:"trusted"`
	// Anchor is where the certificate that vouches comes from.
	Anchor string `json:"anchor,omitempty"`
}

// Finding is something about the content that a careful person wants to know.
// It refuses nothing.
type Finding struct {
	Finding string   `json:"finding"` // "setuid", "whiteout" …
	Text    string   `json:"text"`
	Count   int      `json:"count"`
	Paths   []string `json:"paths"` // the first few
}

// Verdict is the answer for one extension. It carries what a node needs to
// refuse a roll-back: signer, version and root hash.
type Verdict struct {
	Path       string     `json:"path"`
	Result     Result     `json:"result"`
	Policy     string     `json:"policy"`
	Depth      Depth      `json:"depth"`
	Protection Protection `json:"protection"`
	Name       string     `json:"name,omitempty"` // of the extension
	Kind       string     `json:"kind,omitempty"`
	Version    string     `json:"version,omitempty"`
	Size       int64      `json:"size"` // of the image file in bytes; 0 for a folder
	// Form is "disk image", "file system" or "folder".
	Form         string    `json:"form,omitempty"`
	FileSystem   string    `json:"fileSystem,omitempty"`
	Architecture string    `json:"architecture,omitempty"` // as the partition types tell
	RootHash     string    `json:"rootHash,omitempty"`
	Signer       *Signer   `json:"signer,omitempty"`
	Release      []string  `json:"release,omitempty"` // the lines of the release file
	Refusal      *Refusal  `json:"refusal,omitempty"` // of every result but Good
	Checks       []Check   `json:"checks"`
	Findings     []Finding `json:"findings,omitempty"`

	// Err is the error behind the refusal, for callers in this program.
	Err error `json:"-"`
	// Found is the release file of Kind, nil if none was read.
	Found *extension.Found `json:"-"`
	// Standing is that of the signature; Unknown if there is none.
	Standing trust.Standing `json:"-"`
}

// Trusted says whether the image may be used. The zero Verdict may not.
func (v *Verdict) Trusted() bool { return v != nil && v.Result == Good }
