package source

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// platform is what an index says of one of its images.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"` // in Go's words
	Variant      string `json:"variant"`
}

func (p platform) String() string {
	s := printable(p.OS + "/" + p.Architecture)
	if p.Variant != "" {
		s += "/" + printable(p.Variant)
	}
	return s
}

// fits tells whether an image of this platform runs on linux/arch. An image
// that states nothing, as one made by hand may, is left to the user.
func (p platform) fits(arch string) bool {
	return (p.OS == "linux" || p.OS == "") && (p.Architecture == arch || p.Architecture == "")
}

// choose picks the image for arch from an index. A sole image without a
// platform is taken as it is: its configuration tells what it is for.
func choose(list []descriptor, arch string) (descriptor, error) {
	var images []descriptor
	for _, d := range list {
		// Builders file their attestations under the platform unknown/unknown.
		if d.Platform == nil || d.Platform.OS != "unknown" {
			images = append(images, d)
		}
	}
	if len(images) == 1 && images[0].Platform == nil {
		return images[0], nil
	}
	var fitting []descriptor
	for _, d := range images {
		if d.Platform != nil && d.Platform.Architecture != "" && d.Platform.fits(arch) {
			fitting = append(fitting, d)
		}
	}
	if len(fitting) == 0 {
		return descriptor{}, hint.Wrap(fmt.Errorf("no image for linux/%s: the index holds %s", arch, platforms(images)),
			"choose one of these with --arch")
	}
	// amd64/v3 must not win over plain amd64, which runs everywhere.
	for _, d := range fitting {
		if v := d.Platform.Variant; v == "" || v == "v8" && arch == "arm64" {
			return d, nil
		}
	}
	return fitting[0], nil
}

func platforms(list []descriptor) string {
	var names []string
	for _, d := range list {
		s := "an image without a platform"
		if d.Platform != nil {
			s = d.Platform.String()
		}
		if !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	const most = 12
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
