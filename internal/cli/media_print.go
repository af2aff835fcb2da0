package cli

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/media"
	"inlay/internal/verify"
)

// printUKI prints what was made: the images on standard output, what to know of
// them on standard error.
func (env *Env) printUKI(r *media.UKIResult) {
	signature := r.Signature
	if r.Signer != nil {
		signature = "signed by " + r.Signer.Subject
	}
	policies := "none"
	if r.PCRSigned {
		policies = "signed for PCR 11"
	}
	initrd := r.Initrd.From + ", " + size(r.Initrd.Size)
	if r.Initrd.From == media.FromRoot {
		initrd = fmt.Sprintf("the whole root file system, %s, %s, packed to %s; starts %s",
			count(r.Initrd.Files, "file"), size(r.Initrd.Content), size(r.Initrd.Size), r.Initrd.Init)
	}
	env.printFacts([]fact{
		{"system", r.System},
		{"source", r.Source.Origin},
		{"architecture", r.Architecture},
		{"kernel", fmt.Sprintf("%s (%s), %s", r.Kernel.Version, r.Kernel.Path, size(r.Kernel.Size))},
		{"initrd", initrd},
		{"stub", r.Stub},
		{"certificates", strings.Join(r.Certificates, ", ")},
		{"signature", signature},
		{"TPM policies", policies},
	})
	for _, image := range r.Images {
		env.printFacts([]fact{{"image", image.Path}, {"size", size(image.Size)}, {"title", image.Title}})
		for _, p := range image.Profiles {
			env.printFacts([]fact{{"profile", p.ID}, {"cmdline", p.Cmdline}, {"PCR 11", p.PCR11["sha256"]}})
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(env.Stderr, "note: %s\n", printable(n))
	}
	env.warn(r.Warnings)
	if r.Signer == nil {
		fmt.Fprintln(env.Stderr, "note: without a signature, firmware boots it only while Secure Boot is off: pass --keys DIR")
	}
}

// printMedium prints what was made.
func (env *Env) printMedium(r *media.MediumResult) {
	images := *r.Images
	env.printUKI(&images)
	facts := []fact{
		{string(r.Type), r.Path},
		{"size", size(r.Size)},
		{"digest", r.Digest},
		{"volume", r.VolumeID},
		{"container image", r.Tag},
		{"boot loader", r.Loader},
		{"keys to enrol", enrolText(r)},
	}
	if e := r.ESP; e != nil {
		facts = append(facts, fact{"EFI partition", fmt.Sprintf("%s, FAT32 %s, %s of files", size(e.Size), e.VolumeID, size(e.Content))})
	}
	for _, e := range r.Extensions {
		facts = append(facts, fact{"extension", fmt.Sprintf("%s, %s, %s", e.Path, size(e.Size), verdictText(e.Verdict))})
	}
	env.printFacts(facts)
	env.warn(r.Warnings)
}

func enrolText(r *media.MediumResult) string {
	if len(r.Keys) == 0 {
		return "none"
	}
	return strings.Join(append(slices.Clone(r.Keys), r.Enroll), ", ")
}

func verdictText(v *verify.Verdict) string {
	switch {
	case !v.Trusted():
		return string(v.Result)
	case v.Signer != nil:
		return "signed by " + v.Signer.Subject
	}
	return string(v.Protection)
}
