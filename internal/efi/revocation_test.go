package efi_test

import (
	"bytes"
	"crypto"
	"strings"
	"testing"
	"time"

	"inlay/internal/efi"
)

// revocation is an entry of X509SHA256 of a hash of sevens and a time.
func revocation(t testing.TB, when [16]byte) (efi.List, efi.Entry) {
	t.Helper()
	l := list(t, efi.X509SHA256(), append(bytes.Repeat([]byte{7}, 32), when[:]...))
	return l, l.Entries[0]
}

func TestRevocationTime(t *testing.T) {
	t.Parallel()
	base := [16]byte{0xe4, 7, 2, 29, 23, 59, 59}
	with := func(index int, values ...byte) [16]byte {
		b := base
		copy(b[index:], values)
		return b
	}
	leap := time.Date(2020, 2, 29, 23, 59, 59, 0, time.UTC)
	for name, test := range map[string]struct {
		b    [16]byte
		want time.Time
		err  string
	}{
		"always":             {[16]byte{}, time.Time{}, ""},
		"leap day":           {base, leap, ""},
		"no leap year":       {with(0, 0x6c, 7), time.Time{}, "1900-02-29"},
		"year 1900":          {with(0, 0x6c, 7, 1, 1), time.Date(1900, 1, 1, 23, 59, 59, 0, time.UTC), ""},
		"year 1899":          {with(0, 0x6b, 7, 1, 1), time.Time{}, "1899-01-01"},
		"year 9999":          {with(0, 0x0f, 0x27, 12, 31), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), ""},
		"year 10000":         {with(0, 0x10, 0x27, 12, 31), time.Time{}, "10000-12-31"},
		"year 65535":         {with(0, 0xff, 0xff), time.Time{}, "65535"},
		"month 0":            {with(2, 0), time.Time{}, "2020-00-29"},
		"month 13":           {with(2, 13), time.Time{}, "2020-13-29"},
		"day 0":              {with(3, 0), time.Time{}, "2020-02-00"},
		"day 30 of February": {with(3, 30), time.Time{}, "2020-02-30"},
		"hour 24":            {with(4, 24), time.Time{}, "24:59:59"},
		"minute 60":          {with(5, 60), time.Time{}, "23:60:59"},
		"second 60":          {with(6, 60), time.Time{}, "23:59:60"},
		"second 255":         {with(6, 255), time.Time{}, "23:59:255"},
		"pad":                {with(7, 1), time.Time{}, "padding"},
		"nanoseconds":        {with(8, 0xff, 0xc9, 0x9a, 0x3b), leap.Add(999_999_999), ""},
		"too many of them":   {with(8, 0, 0xca, 0x9a, 0x3b), time.Time{}, "1000000000 nanoseconds"},
		"no zone":            {with(12, 0xff, 7), leap, ""},
		"zone of California": {with(12, 0xe0, 1), leap.Add(8 * time.Hour), ""},
		"zone of Tokyo":      {with(12, 0xe4, 0xfd), leap.Add(-9 * time.Hour), ""},
		"zone of 1440":       {with(12, 0xa0, 5), leap.Add(24 * time.Hour), ""},
		"zone of 1441":       {with(12, 0xa1, 5), time.Time{}, "1441 minutes"},
		"zone of -1441":      {with(12, 0x5f, 0xfa), time.Time{}, "-1441 minutes"},
		"daylight adjusts":   {with(14, 1), leap, ""},
		"daylight adjusted":  {with(14, 3), time.Time{}, "daylight"},
		"daylight 4":         {with(14, 4), time.Time{}, "daylight"},
		"last pad":           {with(15, 1), time.Time{}, "padding"},
		"only a last pad":    {[16]byte{15: 1}, time.Time{}, "0000-00-00"},
		"only a zone":        {[16]byte{12: 1}, time.Time{}, "0000-00-00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hash, sum, when, err := efi.Revocation(revocation(t, test.b))
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if !when.Equal(test.want) {
				t.Errorf("since %v, want %v", when, test.want)
			}
			// Whatever its time is, the entry revokes.
			if hash != crypto.SHA256 || !bytes.Equal(sum, bytes.Repeat([]byte{7}, 32)) {
				t.Errorf("revokes %v %x", hash, sum)
			}
		})
	}
}

func TestRevocationRefuses(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]efi.List{
		"hash of a program": list(t, efi.SHA256(), make([]byte, 32)),
		"as long as one":    list(t, efi.SHA384(), make([]byte, 48)),
		"certificate":       list(t, efi.X509(), make([]byte, 48)),
		"unknown type":      list(t, unknown, make([]byte, 48)),
		"no type":           {Entries: []efi.Entry{{}}},
		"other hash":        list(t, efi.X509SHA384(), make([]byte, 48)),
		"too short":         list(t, efi.X509SHA256(), make([]byte, 47)),
		"too long":          list(t, efi.X509SHA512(), make([]byte, 81)),
		"empty":             list(t, efi.X509SHA512(), nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hash, sum, when, err := efi.Revocation(l, l.Entries[0])
			if err == nil || hash != 0 || sum != nil || !when.IsZero() {
				t.Errorf("got %v, %x, %v, %v", hash, sum, when, err)
			}
		})
	}
}
