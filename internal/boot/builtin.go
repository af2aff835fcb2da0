package boot

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/disk"
	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/rooted"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
	"inlay/internal/uki"
)

const (
	// anchorWord is the word of a built-in command line that carries an anchor: a
	// certificate in DER, in base64.
	anchorWord = "inlay.anchor="
	// maxAnchorWords bounds how many of them count: a command line has 2 to 4 KiB.
	maxAnchorWords = 8
	// maxImagePath bounds the path of an image, in bytes.
	maxImagePath = 1024
)

// BuiltIn returns the certificates that the command line of the booted unified kernel
// image carries. The kernel's own command line proves nothing, since others could have
// added to it. So the image is read again from the EFI system partition, and must be
// signed by db; and what it says counts only if it is what this boot was started with:
// another image that was once signed says nothing here.
func BuiltIn(ctx context.Context, system *os.Root) ([]trust.Given, []trust.Problem) {
	text, err := rooted.ReadFile(system, "proc/cmdline", maxCommandLine)
	if err != nil {
		return nil, nil // that it cannot be read is told elsewhere
	}
	var said []string
	for _, word := range commandWords(string(text)) {
		if strings.HasPrefix(word, anchorWord) {
			said = append(said, word)
		}
	}
	if len(said) == 0 {
		return nil, nil
	}
	b := builtIn{system: system, origin: "the kernel's command line"}
	given, err := b.read(ctx, said)
	if err != nil {
		b.problems = append(b.problems, trust.Problem{Origin: b.origin, Text: "the certificates in it are not used: " + strings.ReplaceAll(err.Error(), "\n", "; ")})
		return nil, b.problems
	}
	return given, b.problems
}

type builtIn struct {
	system   *os.Root
	origin   string
	problems []trust.Problem
}

func (b *builtIn) read(ctx context.Context, said []string) ([]trust.Given, error) {
	by, err := b.db()
	if err != nil {
		return nil, err
	}
	at, err := b.imagePath()
	if err != nil {
		return nil, err
	}
	esp, done, err := b.partition()
	if err != nil {
		return nil, err
	}
	defer done()
	clean, err := foldedFile(esp, at)
	if err != nil {
		return nil, err
	}
	f, err := rooted.Open(esp, clean)
	if err != nil {
		return nil, fmt.Errorf("opening the booted image %q: %w", at, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := secureboot.VerifyProgram(f, info.Size(), by...); err != nil {
		return nil, fmt.Errorf("the image %q: %w", at, err)
	}
	image, err := uki.Open(f, info.Size())
	if err != nil {
		return nil, err
	}
	var inside []string
	for _, profile := range image.Profiles {
		inside = append(inside, commandWords(profile.Cmdline)...)
	}
	return b.anchors(said, inside, at), nil
}

// anchors are those of the words that the image says, too.
func (b *builtIn) anchors(said, inside []string, at string) (given []trust.Given) {
	origin := "built-in command line of " + at
	for _, word := range said {
		if !slices.Contains(inside, word) {
			b.problems = append(b.problems, trust.Problem{Origin: b.origin, Text: "a certificate in it is not used: the signed image doesn't have it, so anybody could have added it"})
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(word, anchorWord))
		if err == nil {
			_, err = x509.ParseCertificate(der)
		}
		if err == nil && len(given) == maxAnchorWords {
			err = fmt.Errorf("more than %d", maxAnchorWords)
		}
		if err != nil {
			b.problems = append(b.problems, trust.Problem{Origin: origin, Text: "a certificate in it is not used: " + err.Error()})
			continue
		}
		given = append(given, trust.Given{Origin: origin, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})})
	}
	return given
}

// db are the certificates that the firmware starts programs by.
func (b *builtIn) db() (by []*x509.Certificate, err error) {
	set, err := trust.Load(trust.Options{Root: b.system, Firmware: true})
	if err != nil {
		return nil, err
	}
	for _, a := range set.Anchors {
		if slices.Contains(strings.Split(a.Origin, ", "), "firmware db") {
			by = append(by, a.Certificate)
		}
	}
	if len(by) == 0 {
		return nil, errors.New("no certificate of the firmware's db counts, by which the image could be judged")
	}
	return by, nil
}

// imagePath is where on its partition the booted image lies.
func (b *builtIn) imagePath() (string, error) {
	for _, name := range []string{"StubImageIdentifier", "LoaderImageIdentifier"} {
		text, err := b.loaderText(name)
		if err != nil || text == "" {
			continue
		}
		at := path.Clean("/" + strings.ReplaceAll(text, `\`, "/"))
		if len(at) > maxImagePath || at == "/" {
			continue
		}
		return strings.TrimPrefix(at, "/"), nil
	}
	return "", errors.New("the boot loader doesn't say which image was booted")
}

func (b *builtIn) loaderText(name string) (string, error) {
	text, err := rooted.ReadFile(b.system, path.Join(efivars, efi.FileName(name, efi.Loader())), efi.MaxSize)
	if err != nil {
		return "", err
	}
	v, err := efi.ParseVariable(text)
	if err != nil {
		return "", err
	}
	return v.Text()
}

// partition opens the EFI system partition, which must be what it says only as far as
// the image on it is signed: where somebody has mounted it, or by the loader's word.
func (b *builtIn) partition() (root *os.Root, done func(), err error) {
	for _, at := range []string{"run/cos/efi", "efi", "boot/efi", "boot"} {
		clean, err := rooted.Resolve(b.system, path.Join(at, "EFI"))
		if err != nil {
			continue
		}
		if root, err := b.system.OpenRoot(path.Dir(clean)); err == nil {
			return root, func() { _ = root.Close() }, nil
		}
	}
	id, err := loaderPartition(b.system)
	if err != nil {
		return nil, nil, err
	}
	if id == (guid.GUID{}) {
		return nil, nil, errors.New("the boot loader doesn't say from which partition the image was booted")
	}
	d, err := disk.ByID(b.system, id)
	if err != nil {
		return nil, nil, err
	}
	kind, _, err := d.FileSystem(b.system)
	if err != nil {
		return nil, nil, err
	}
	m, err := disk.Mount(b.system, d, kind)
	if err != nil {
		return nil, nil, err
	}
	return m.Root, func() { _ = m.Close() }, nil // it was only read
}

// foldedFile finds a file on a FAT, which knows no upper and lower case.
func foldedFile(root *os.Root, name string) (string, error) {
	folder, names, err := listFolded(root, path.Dir(name))
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, path.Base(name)) })
	if i < 0 {
		return "", fmt.Errorf("looking for the booted image %q: %w", name, fs.ErrNotExist)
	}
	return path.Join(folder, names[i]), nil
}
