package build_test

import (
	"crypto/x509"
	"reflect"
	"slices"
	"testing"
	"time"

	"inlay/internal/build"
	"inlay/internal/erofs"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/internal/osrelease"
	"inlay/internal/selinux"
	"inlay/internal/source"
)

// TestIdentity promises that every option that decides about an image makes
// another identity: one that is forgotten would leave an old image in place of
// the one asked for. A new option has to be put into one of the two lists.
func TestIdentity(t *testing.T) {
	t.Parallel()
	layers, err := source.ParseLayers("2")
	if err != nil {
		t.Fatal(err)
	}
	decides := map[string]func(*build.Options){
		"Reference":           func(o *build.Options) { o.Reference.Path = "other" },
		"Name":                func(o *build.Options) { o.Name = "other" },
		"Kind":                func(o *build.Options) { o.Kind = extension.Confext() },
		"Architecture":        func(o *build.Options) { o.Architecture = extension.Architecture{Word: "arm64", Go: "arm64"} },
		"Layers":              func(o *build.Options) { o.Layers = layers },
		"IncludePaths":        func(o *build.Options) { o.IncludePaths = []string{"opt"} },
		"Release":             func(o *build.Options) { o.Release = []osrelease.Field{{Key: "ID", Value: "x"}} },
		"ServiceReload":       func(o *build.Options) { o.ServiceReload = true },
		"EnableUnits":         func(o *build.Options) { o.EnableUnits = []string{"a.service"} },
		"AllowOverlayMarkers": func(o *build.Options) { o.AllowOverlayMarkers = true },
		"KeepOwner":           func(o *build.Options) { o.KeepOwner = true },
		"ContextsDigest":      func(o *build.Options) { o.ContextsDigest = "digest" },
		"Compression":         func(o *build.Options) { o.Compression = build.Compression{Method: build.Zstd, Level: 4} },
		"Kernel":              func(o *build.Options) { o.Kernel = erofs.Version{Major: 6, Minor: 1} },
		"Seed":                func(o *build.Options) { o.Seed = "two" },
		"Epoch":               func(o *build.Options) { o.Epoch = new(time.Time) },
		"Signer":              func(o *build.Options) { o.Signer = &keys.Pair{Certificate: &x509.Certificate{Raw: []byte("one")}} },
		"DeferSignature":      func(o *build.Options) { o.DeferSignature = true },
		"Program":             func(o *build.Options) { o.Program = "other" },
	}
	// What has no say, or leaves no identity at all: see below.
	others := []string{"Output", "Digest", "Again", "Step", "Contexts", "FileSystem", "identity"}
	base := build.Options{Program: "program", Name: "tool", Kind: extension.Sysext(), FileSystem: build.EROFS, Reference: source.Ref{Scheme: source.Dir, Path: "tool"}}
	seen := map[string]string{build.Identify(base, "stamp"): "nothing", build.Identify(base, "other stamp"): "the source"}
	for field := range reflect.TypeFor[build.Options]().Fields() {
		change, known := decides[field.Name]
		if !known {
			if !slices.Contains(others, field.Name) {
				t.Errorf("nobody has said whether %s decides about the image", field.Name)
			}
			continue
		}
		o := base
		change(&o)
		id := build.Identify(o, "stamp")
		if other, taken := seen[id]; taken || id == "" {
			t.Errorf("a change of %s makes the identity %q, as that of %s does", field.Name, id, other)
		}
		seen[id] = field.Name
	}
	for name, change := range map[string]func(*build.Options){
		"a program that isn't known": func(o *build.Options) { o.Program = "" },
		"another file system":        func(o *build.Options) { o.FileSystem = build.Squashfs },
		"labels without a digest":    func(o *build.Options) { o.Contexts = new(selinux.Contexts) },
	} {
		o := base
		change(&o)
		if id := build.Identify(o, "stamp"); id != "" {
			t.Errorf("%s makes the identity %q", name, id)
		}
	}
	if id := build.Identify(base, ""); id != "" {
		t.Errorf("without a stamp the identity is %q", id)
	}
}
