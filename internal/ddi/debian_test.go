package ddi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/ddi"
	"inlay/test/debian"
)

// TestNewerRepart reads images of systemd-repart 257, of the sector sizes that
// give hash trees over blocks of 4096 bytes (the default, and 4096; with any
// other --sector-size the tree has blocks of that size). It adds a signature to
// the unsigned ones and has systemd's own reader look at the result.
func TestNewerRepart(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	key, cert, _ := keyPair(t)
	work := t.TempDir()
	binds := map[string]string{work: "/w", filepath.Dir(key): "/k"}
	release := filepath.Join(work, "tree/usr/lib/extension-release.d/extension-release.hello")
	if err := os.MkdirAll(filepath.Dir(release), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(release, []byte("ID=_any\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sector := range []int{512, 4096} {
		for _, signed := range []bool{true, false} {
			name := fmt.Sprintf("%d-%v.raw", sector, signed)
			args := []string{
				"systemd-repart", "--make-ddi=sysext", "--copy-source=/w/tree",
				"--seed=01234567-89ab-cdef-0123-456789abcdef", "--architecture=x86-64",
			}
			if signed {
				args = append(args, "--private-key=/k/"+filepath.Base(key), "--certificate=/k/"+filepath.Base(cert))
			} else {
				args = append(args, "--exclude-partitions=root-verity-sig")
			}
			if sector != 512 {
				args = append(args, fmt.Sprintf("--sector-size=%d", sector))
			}
			tools.Run(t, binds, append(args, "/w/"+name)...)
			t.Run(name, func(t *testing.T) {
				f, err := os.OpenFile(filepath.Join(work, name), os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				root := checkRepart(t, f, info.Size(), sector, signed)
				if signed {
					return
				}
				attach := ddi.Attach
				if sector != 512 {
					if _, err := ddi.Attach(f, info.Size(), signature(1200)(root)); !errors.Is(err, ddi.ErrNotInPlace) {
						t.Errorf("attaching in place: %v", err)
					}
					attach = ddi.AttachCopy
				}
				if _, err := attach(f, info.Size(), signature(1200)(root)); err != nil {
					t.Fatal(err)
				}
				if said := tools.Run(t, binds, "systemd-dissect", "/w/"+name); !strings.Contains(said, "root-verity-sig") {
					t.Errorf("systemd-dissect sees no signature:\n%s", said)
				}
				tools.Run(t, binds, "systemd-dissect", "--validate", "--image-policy=root=signed", "/w/"+name)
			})
		}
	}
}

// checkRepart checks an image of systemd-repart and returns its root hash.
func checkRepart(t *testing.T, f *os.File, size int64, sector int, signed bool) ddi.RootHash {
	t.Helper()
	im, err := ddi.Open(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if im.Table.SectorSize != sector || im.Table.Size != size || len(im.Table.Damage) > 0 {
		t.Errorf("sectors of %d, %d of %d bytes, damage %v", im.Table.SectorSize, im.Table.Size, size, im.Table.Damage)
	}
	root, err := im.RootHash()
	if err != nil {
		t.Fatal(err)
	}
	super, err := im.Superblock()
	if err != nil || super.UUID != seed().VerityUUID() || string(super.Salt) != string(seed().Salt()) {
		t.Errorf("superblock %+v: %v", super, err)
	}
	sig, err := im.Signature()
	if signed && (err != nil || sig.RootHash != root) || !signed && !errors.Is(err, ddi.ErrUnsigned) {
		t.Errorf("signature %v: %v", sig, err)
	}
	return root
}
