package boot

import (
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// Where the pass leaves what it did, below System, until the next boot.
const (
	// ReportFile holds the Report as JSON.
	ReportFile = "run/inlay/boot.json"
	// LogFile holds it in lines, in the folder that Kairos documents.
	LogFile = "run/immucore/inlay.log"
)

// Report is what a boot step did, for people and for programs: docs/json.md.
type Report struct {
	Time time.Time `json:"time"`
	// Duration of the pass, in milliseconds.
	Duration int64 `json:"duration"`
	// Hook says who called: an integration's word, or "".
	Hook string `json:"hook,omitempty"`
	// Off says what switched the pass off, or is "".
	Off    string            `json:"off,omitempty"`
	DryRun bool              `json:"dryRun,omitempty"`
	Boot   *bootstate.Report `json:"boot,omitempty"`
	Trust  *Trusted          `json:"trust,omitempty"`
	Steps  []Step            `json:"steps"`
	// Extensions are all that were enabled, or lay on the medium.
	Extensions []Extension `json:"extensions"`
	// Taken are the images that were taken into the store.
	Taken []Taken `json:"taken,omitempty"`
	// Covered are the folders that were covered, so that nothing in them counts.
	Covered []Covered `json:"covered,omitempty"`
	// Merges are what was handed over, by kind.
	Merges   []Merge  `json:"merges,omitempty"`
	Problems []string `json:"problems,omitempty"`
	// Earlier are the passes before this one in the same boot: in the initial RAM
	// disk, say. The first is the earliest.
	Earlier []Earlier `json:"earlier,omitempty"`
}

// Earlier is a pass before this one.
type Earlier struct {
	Time     time.Time `json:"time"`
	Duration int64     `json:"duration"`
	Hook     string    `json:"hook,omitempty"`
	Off      string    `json:"off,omitempty"`
	// Linked are file names.
	Linked []string `json:"linked,omitempty"`
}

// Trusted is whom the boot trusts.
type Trusted struct {
	Policy  string `json:"policy"`
	Because string `json:"because"`
	// Systemd is the policy in the language of systemd.
	Systemd  string          `json:"systemd"`
	Anchors  []Anchor        `json:"anchors"`
	Problems []trust.Problem `json:"problems,omitempty"`
}

// Anchor is a certificate that counts.
type Anchor struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Origin      string `json:"origin"`
}

// Step is a part of the pass.
type Step struct {
	Step string `json:"step"`
	// Text says what came of it, in one line.
	Text string `json:"text"`
	// Bad says that something of it is not as it should be.
	Bad bool `json:"bad,omitempty"`
	// Duration in milliseconds.
	Duration int64 `json:"duration"`
}

// Result is what became of an extension.
type Result string

// The results.
const (
	Linked  Result = "linked"   // it is where systemd looks
	Refused Result = "refused"  // not to be trusted, or not for this host
	LeftOut Result = "left out" // to be trusted, but not to be used now
	// Unreachable is what could not be read at all.
	Unreachable Result = "unreachable"
)

// Who has checked a signature: the kernel by a key of its own keyring, or the program
// that has merged, by a certificate that it has found.
const (
	ByKernel    = "kernel"
	InUserSpace = "user space"
)

// Extension is an image that was looked at.
type Extension struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	FileName string `json:"fileName"`
	// Path is where it lies, as the running system will see it.
	Path string `json:"path"`
	// ID is what it goes by in a trial.
	ID string `json:"id,omitempty"`
	// From is the profile that wants it: "active", "common", or "medium".
	From   string   `json:"from"`
	Result Result   `json:"result"`
	Reason string   `json:"reason,omitempty"`
	Hints  []string `json:"hints,omitempty"`
	// Protection, RootHash and Signer are the verdict's.
	Protection verify.Protection `json:"protection,omitempty"`
	RootHash   string            `json:"rootHash,omitempty"`
	Signer     string            `json:"signer,omitempty"`
	// CheckedBy says who has checked its signature for dm-verity: ByKernel or InUserSpace,
	// "" while it is not merged so. The step itself cannot know: who reads the report
	// asks the kernel.
	CheckedBy string `json:"checkedBy,omitempty"`
	// Depth is "top" if not every block was read, else "".
	Depth string `json:"depth,omitempty"`
	Trial *Trial `json:"trial,omitempty"`
	// Duration of the check, in milliseconds.
	Duration int64 `json:"duration"`
}

// Trial is about an image that has not yet booted well.
type Trial struct {
	// Left is how many more boots it gets if this one is not good.
	Left int `json:"left"`
	// Instead says that this is the image that last booted well, in place of the
	// one that is enabled.
	Instead bool `json:"instead,omitempty"`
}

// Taken is an image that was taken into the store.
type Taken struct {
	Kind     string   `json:"kind"`
	FileName string   `json:"fileName"`
	From     string   `json:"from"`
	Profiles []string `json:"profiles"`
	// Error says why it stays where it was; "" if it was taken.
	Error string `json:"error,omitempty"`
}

// Covered is a folder under an empty one.
type Covered struct {
	Path string `json:"path"`
	// Holds names what was in it, the first few.
	Holds []string `json:"holds,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Merge is a hand-over.
type Merge struct {
	Kind string `json:"kind"`
	// Engine is "systemd" or "native".
	Engine string `json:"engine"`
	// Done says that it is merged already; else systemd's service is to do it.
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}
