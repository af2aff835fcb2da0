package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"inlay/internal/build"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/selinux"
	"inlay/internal/source"
)

// settings turns the flags into what the service wants. All of its errors are
// mistakes on the command line or files that it names, found before any work.
func (o *buildOptions) settings(ctx context.Context, env *Env) (build.Options, error) {
	s := build.Options{
		Name: o.name, ServiceReload: o.serviceReload, EnableUnits: o.enableUnits, AllowOverlayMarkers: o.allowMarkers,
		Seed: o.seed, DeferSignature: o.deferSigning, Output: o.output, Digest: o.json,
		KeepOwner: o.owner == "keep", Again: o.noCache,
	}
	if env.Program != nil {
		s.Program = env.Program()
	}
	var err error
	if s.Kind, err = extension.KindNamed(o.kind); err != nil {
		return s, usage(err)
	}
	if swapped, err := source.Parse(o.name); err == nil && swapped.Scheme != source.Any {
		return s, usagef("give the name first, then the source", "the name %q is a source", o.name)
	}
	if err := extension.CheckName(s.Kind, o.name); err != nil {
		return s, usage(err)
	}
	if s.Architecture, err = extension.ArchitectureNamed(cmp.Or(o.arch, env.Architecture)); err != nil {
		return s, usage(err)
	}
	if s.Reference, err = source.Parse(o.source); err != nil {
		return s, usage(err)
	}
	if s.Layers, err = source.ParseLayers(o.layers); err != nil {
		return s, usage(err)
	}
	if s.Release, err = releaseFields(o.release); err != nil {
		return s, usage(err)
	}
	if s.IncludePaths, err = cleanFolders(o.includePaths, o.withOpt); err != nil {
		return s, usage(err)
	}
	for _, unit := range o.enableUnits {
		if err := build.CheckUnit(unit); err != nil {
			return s, usage(err)
		}
	}
	if s.FileSystem, err = choice("--filesystem", o.fileSystem, build.EROFS, build.Squashfs); err != nil {
		return s, err
	}
	if err := o.compress(&s); err != nil {
		return s, usage(err)
	}
	if _, err := choice("--owner", o.owner, "root", "keep"); err != nil {
		return s, err
	}
	if s.Epoch, err = env.epoch(); err != nil {
		return s, usage(err)
	}
	if s.Contexts, s.ContextsDigest, err = readContexts(o.contexts); err != nil {
		return s, err
	}
	if o.deferSigning && o.signing.any() {
		return s, usagef("sign now, or pass --defer-signature alone and sign later with inlay sign", "--defer-signature and a key are both given")
	}
	s.Signer, err = o.signing.pair(ctx, env)
	return s, err
}

// compress turns the flags for compression into settings.
func (o *buildOptions) compress(s *build.Options) (err error) {
	if s.FileSystem != build.EROFS {
		for _, flag := range [][2]string{{"--compression", o.compression}, {"--min-kernel", o.minKernel}} {
			if flag[1] != "" {
				return hint.Wrap(fmt.Errorf("%s is for EROFS, and mksquashfs goes its own way", flag[0]), "leave out "+flag[0]+" or --filesystem squashfs")
			}
		}
		return nil
	}
	s.Compression = build.DefaultCompression()
	if o.compression != "" {
		if s.Compression, err = build.ParseCompression(o.compression); err != nil {
			return err
		}
	}
	if o.minKernel == "" {
		return nil
	}
	if s.Kernel, err = build.ParseKernel(o.minKernel); err != nil {
		return err
	}
	return s.CheckKernel()
}

func releaseFields(texts []string) ([]osrelease.Field, error) {
	var fields []osrelease.Field
	for _, text := range texts {
		key, value, found := strings.Cut(text, "=")
		if !found || !osrelease.ValidKey(key) || strings.ContainsAny(value, "\x00\n") {
			return nil, hint.Wrap(fmt.Errorf("--release %q is not KEY=VALUE", text), "for example --release ID=_any")
		}
		fields = append(fields, osrelease.Field{Key: key, Value: value})
	}
	return fields, nil
}

func cleanFolders(paths []string, withOpt bool) ([]string, error) {
	if withOpt {
		paths = append(paths, "/opt")
	}
	var folders []string
	for _, p := range paths {
		clean := strings.TrimPrefix(path.Clean("/"+p), "/")
		if clean == "" || strings.Contains("/"+p+"/", "/../") {
			return nil, hint.Wrap(fmt.Errorf("--include-path %q is not a folder of the image", p), "for example --include-path /opt")
		}
		folders = append(folders, clean)
	}
	return folders, nil
}

// readContexts reads a file_contexts list, and names it by its digest.
func readContexts(file string) (*selinux.Contexts, string, error) {
	if file == "" {
		return nil, "", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	sum := sha256.New()
	contexts, err := selinux.Parse(io.TeeReader(f, sum))
	if err != nil {
		err = hint.Default(err, "correct it; selabel_file(5) says what a line may hold")
		return nil, "", fmt.Errorf("reading labels from %q: %w", file, err)
	}
	return contexts, hex.EncodeToString(sum.Sum(nil)), nil
}
