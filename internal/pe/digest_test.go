package pe_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/pe"
)

// The digest is efitools' one, and signatures don't change it.
func TestDigest(t *testing.T) {
	t.Parallel()
	for name, b := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unsigned, _, _ := strings.Cut(strings.TrimSuffix(name, ".efi"), "-")
			want := string(vector(t, unsigned+".sha256"))
			f := parse(t, b)
			if got := digest(t, f); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if signed := strings.Contains(name, "-"); signed != (len(f.Certificates) > 0) {
				t.Errorf("%d signatures", len(f.Certificates))
			}
			for _, c := range f.Certificates {
				der, err := f.Signature(c)
				if err != nil {
					t.Fatal(err)
				}
				s, err := cms.ParseImage(der)
				if err != nil {
					t.Fatal(err)
				}
				if got := hex.EncodeToString(s.ImageDigest); got != want {
					t.Errorf("signed was %s, want %s", got, want)
				}
			}
		})
	}
}

// Every bit counts, but for those of the checksum, the certificate table's entry
// in the header, and the table.
func TestDigestCoversAll(t *testing.T) {
	t.Parallel()
	b := program(vector(t, "trailing-sbsign.efi"))
	f := parse(t, b)
	want := digest(t, f)
	free := func(i int) bool {
		return i >= b.optional()+64 && i < b.optional()+68 ||
			i >= b.directory(4, 0) && i < b.directory(5, 0) || int64(i) >= f.End()
	}
	refused := 0
	for i := range b {
		b[i] ^= 0x10
		f, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
		h := sha256.New()
		if err == nil {
			err = f.Digest(h)
		}
		b[i] ^= 0x10
		if err != nil {
			refused++ // which is as good
			continue
		}
		if same := hex.EncodeToString(h.Sum(nil)) == want; same != free(i) {
			t.Errorf("byte %#x: the digest is the same: %v", i, same)
		}
	}
	if refused == 0 || refused > 0x100 {
		t.Errorf("%d of %d bytes were refused", refused, len(b))
	}
}

// What firmware and signing tools would reckon differently has no digest.
func TestDigestRefusesHoles(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(p program){
		"between sections": func(p program) { p.set32(p.section(1, 16), 0x1f8) },
		"after headers":    func(p program) { p.set32(p.optional()+60, 0x3f8) },
		"no section":       func(p program) { p.set32(p.section(2, 16), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := program(vector(t, "tiny.efi"))
			spoil(p)
			err := parse(t, p).Digest(sha256.New())
			if err == nil || !strings.Contains(err.Error(), "belong to none") || len(hint.Of(err)) == 0 {
				t.Errorf("error %v, want one that speaks of the hole", err)
			}
		})
	}
}

// A file that ends while it is hashed gives no digest.
func TestDigestCutShort(t *testing.T) {
	t.Parallel()
	b := vector(t, "tiny.efi")
	f, err := pe.Parse(bytes.NewReader(b[:0x500]), int64(len(b)))
	if err == nil {
		err = f.Digest(sha256.New())
	}
	if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("error %v", err)
	}
}

// The linker, sbsign and osslsigncode have written the right checksum;
// systemd-sbsign counts the one that was there before.
func TestSum(t *testing.T) {
	t.Parallel()
	for name, b := range vectors(t) {
		f := parse(t, b)
		got, err := f.Sum()
		if err != nil {
			t.Fatal(err)
		}
		wrong := strings.HasSuffix(name, "-systemd.efi") || name == "trailing.efi"
		if (got == f.Checksum) == wrong {
			t.Errorf("%s: %#x, in the header %#x", name, got, f.Checksum)
		}
	}
}

// Added up word by word, as the format says it.
func TestSumIsThatOfWords(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3072, 3073, 3074, 3079, 5000, 1 << 20, 1<<20 + 3} {
		p := program(vector(t, "tiny.efi"))
		p = append(p, bytes.Repeat([]byte{0xff, 0xfe, 0xff, 0x12, 0xff}, size)...)[:size]
		var want uint32
		for i := 0; i < size; i += 2 {
			var word uint32
			if i < p.optional()+64 || i >= p.optional()+68 {
				word = uint32(p[i])
				if i+1 < size {
					word |= uint32(p[i+1]) << 8
				}
			}
			want += word
			want = want>>16 + want&0xffff
		}
		want += uint32(size)
		got, err := parse(t, p).Sum()
		if err != nil || got != want {
			t.Errorf("%d bytes: %#x, want %#x (%v)", size, got, want, err)
		}
	}
}
