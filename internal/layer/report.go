package layer

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/stage"
	"inlay/internal/verify"
)

// Report is what the last merge of a kind has left to be read, until the next boot:
// what became of every extension, and why.
type Report struct {
	Kind   string    `json:"kind"`
	Engine string    `json:"engine"`
	Time   time.Time `json:"time"`
	// Pending says that the merge didn't get to its end.
	Pending     bool        `json:"pending,omitempty"`
	Mutable     Mode        `json:"mutable"`
	Hierarchies []Reported  `json:"hierarchies"`
	Extensions  []Extension `json:"extensions"`
	Warnings    []Warning   `json:"warnings,omitempty"`
	// Work and Made are folders below the root that the merge made, the outermost
	// first: work folders of layers that keep what is written, and hierarchies that
	// the host didn't have.
	Work []string `json:"work,omitempty"`
	Made []string `json:"made,omitempty"`
}

// Reported is a hierarchy in a report.
type Reported struct {
	Path  string `json:"hierarchy"`
	Place string `json:"place"`
	// Device is the overlay's number, as mountinfo has it.
	Device string `json:"device,omitempty"`
	// Layers are the extensions that bring something for it, the topmost first.
	Layers []string `json:"layers"`
	// MadeReadOnly are paths that could be written to before.
	MadeReadOnly []string `json:"madeReadOnly,omitempty"`
}

// Extension is what became of something in an extension folder.
type Extension struct {
	Name   string   `json:"name"`
	Path   string   `json:"path"`
	State  State    `json:"state"`
	Reason string   `json:"reason,omitempty"`
	Hints  []string `json:"hints,omitempty"`
	// Result and Protection are the verdict's; RootHash and Signer are left out where
	// there is none.
	Result     verify.Result     `json:"result,omitempty"`
	Protection verify.Protection `json:"protection,omitempty"`
	RootHash   string            `json:"rootHash,omitempty"`
	Signer     string            `json:"signer,omitempty"`
	// Guarantee is of what is merged: "" where it isn't known, as systemd merged it.
	Guarantee Guarantee `json:"guarantee,omitempty"`
	// Mapping is the name of the dm-verity device, KernelVerified says that the kernel
	// has checked the signature, too.
	Mapping        string `json:"mapping,omitempty"`
	KernelVerified bool   `json:"kernelVerified,omitempty"`
	// Corrupt says that the kernel has read a block that is not what was signed: a
	// file of the extension gives I/O errors. Inspect sets it.
	Corrupt bool `json:"corrupt,omitempty"`
}

// maxReport bounds a report, in bytes: far more than 500 extensions have to say.
const maxReport = 16 << 20

// reportFile is where the report of a kind lies.
func reportFile(k extension.Kind) string { return path.Join(stateFolder, "layer-"+k.Name+".json") }

// ReadReport returns the report of the last merge of a kind, nil if there is none.
func ReadReport(root *os.Root, k extension.Kind) (*Report, error) {
	text, err := rooted.ReadFile(root, reportFile(k), maxReport)
	if absent(err) || errors.Is(err, rooted.ErrDangling) {
		return nil, nil
	}
	r := &Report{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	for _, name := range slices.Concat(r.Work, r.Made) {
		if err == nil && (!fs.ValidPath(name) || name == ".") {
			err = fmt.Errorf("%q is no path below the root", name)
		}
	}
	if err != nil {
		name := path.Join("/", reportFile(k))
		return nil, hint.Wrap(fmt.Errorf("reading report %q: %w", name, err), "remove it: it only tells of the last merge")
	}
	return r, nil
}

// ReportOf is the report of a merge by any engine. guarantee says what protects an
// item that is merged; nil is unknown.
func ReportOf(p *Plan, engine string, now time.Time, guarantee func(*Item) Guarantee) *Report {
	r := &Report{
		Kind: p.Request.Kind.Name, Engine: engine, Time: now, Mutable: p.Request.Mutable,
		Hierarchies: []Reported{}, Extensions: []Extension{}, Warnings: p.Warnings,
	}
	for _, s := range p.Stacks {
		if s.Idle {
			continue
		}
		h := Reported{Path: s.Path, Place: s.Place, Layers: []string{}, MadeReadOnly: s.MakesReadOnly}
		for _, l := range s.Layers {
			h.Layers = append(h.Layers, l.Name)
		}
		r.Hierarchies = append(r.Hierarchies, h)
	}
	for _, i := range p.Items {
		e := Extension{Name: i.Name, Path: i.Place, State: i.State, Reason: i.Reason, Hints: i.Hints}
		if v := i.Verdict; v != nil {
			e.Result, e.Protection, e.RootHash = v.Result, v.Protection, v.RootHash
			if v.Signer != nil && v.Signer.Trusted {
				e.Signer = v.Signer.Subject
			}
		}
		if i.State == Merge && guarantee != nil {
			e.Guarantee = guarantee(i)
		}
		if i.State == Merge && e.Reason == "" && !p.shows(i) {
			e.Reason, e.Hints = p.unseen()
			if len(r.Hierarchies) == 0 {
				e.State = Ignored // systemd counts it as merged, beside others
			}
		}
		r.Extensions = append(r.Extensions, e)
	}
	return r
}

// Inspect asks the kernel what has become of the dm-verity devices since, and says
// whether one of them has come upon a block that is corrupt.
func (r *Report) Inspect() bool {
	found := false
	for n := range r.Extensions {
		e := &r.Extensions[n]
		if e.Mapping == "" {
			continue
		}
		status, err := device.Active(e.Mapping)
		if err == nil && status.Corrupted && hex.EncodeToString(status.RootHash[:]) == e.RootHash {
			e.Corrupt, found = true, true
			e.Reason = "a block of it was read that is not what was signed: it has been changed, or the disk has"
			e.Hints = []string{"fetch the extension again and refresh"}
		}
	}
	return found
}

// report is that of this job.
func (j *job) report(pending bool) *Report {
	r := ReportOf(j.plan, EngineNative, j.now, func(i *Item) Guarantee {
		if s := j.sources[i]; s != nil {
			return s.guarantee
		}
		return ""
	})
	r.Pending = pending
	r.Warnings = append(slices.Clip(r.Warnings), j.warnings...)
	for n := range r.Hierarchies {
		h := &r.Hierarchies[n]
		for _, b := range j.trees {
			if b.stack.Path == h.Path {
				h.Device = b.device.String()
			}
		}
	}
	sources := map[string]*source{}
	for i, s := range j.sources {
		sources[i.Place] = s
	}
	for n := range r.Extensions {
		e := &r.Extensions[n]
		if s := sources[e.Path]; s != nil && e.State == Merge {
			e.Mapping, e.KernelVerified = s.mapping, s.kernel
		}
	}
	for _, b := range j.trees {
		if b.workDir != "" {
			r.Work = append(r.Work, b.workDir)
		}
	}
	r.Made = j.made
	return r
}

// keepGuarantees takes what an earlier report knows of what is still merged.
func (r *Report) keepGuarantees(before *Report) {
	r.Work = before.Work
	for n := range r.Extensions {
		e := &r.Extensions[n]
		for _, was := range before.Extensions {
			if was.Name == e.Name && was.State == Merge && e.State == Merge {
				e.Guarantee, e.Mapping, e.KernelVerified = was.Guarantee, was.Mapping, was.KernelVerified
			}
		}
	}
	for n := range r.Hierarchies {
		h := &r.Hierarchies[n]
		for _, was := range before.Hierarchies {
			if was.Path == h.Path {
				h.Device, h.MadeReadOnly = was.Device, was.MadeReadOnly
			}
		}
	}
}

// write puts the report where ReadReport finds it.
func (r *Report) write(root *os.Root) error {
	k, err := extension.KindNamed(r.Kind)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := root.MkdirAll(stateFolder, 0o755); err != nil {
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	f, err := stage.Create(filepath.Join(root.Name(), reportFile(k)), 0o644)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer f.Discard()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return f.Commit()
}

func removeReport(root *os.Root, k extension.Kind) error {
	if err := root.Remove(reportFile(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the report: %w", err)
	}
	return nil
}
