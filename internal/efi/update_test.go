package efi_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
)

func TestParseUpdateRefuses(t *testing.T) {
	t.Parallel()
	good := efi.Update{Time: stamp, PKCS7: []byte("signature"), Data: []byte("data")}.Marshal()
	with := func(index int, values ...byte) []byte {
		return slices.Replace(bytes.Clone(good), index, index+len(values), values...)
	}
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":              {nil, "0 bytes are fewer"},
		"header cut":         {good[:39], "39 bytes are fewer than its header takes (40)"},
		"too large":          {append(bytes.Clone(good), make([]byte, efi.MaxSize)...), "too many"},
		"signature cut":      {good[:48], "its certificate takes 33 bytes, and 32 are left"},
		"no signature":       {with(16, 24), "it has no signature"},
		"length zero":        {with(16, 0), "it has no signature"},
		"length to the sky":  {with(16, 255, 255, 255, 255), "takes 4294967295 bytes"},
		"revision 1":         {with(20, 0, 1), "revision 0x0100"},
		"type of PE":         {with(22, 2, 0), "type 0x0002"},
		"type RSA2048":       {with(24, 0x14, 0x74, 0x71, 0xa7), "not PKCS #7"},
		"attributes first":   {vector(t, "attributes.auth"), "its certificate is of"},
		"a list":             {vector(t, "db.esl"), "its certificate is of"},
		"pad":                {with(7, 1), "fields other than date and time"},
		"nanosecond":         {with(11, 1), "fields other than date and time"},
		"time zone":          {with(12, 1), "fields other than date and time"},
		"no time zone":       {with(12, 0xff, 7), "fields other than date and time"},
		"daylight":           {with(14, 1), "fields other than date and time"},
		"last pad":           {with(15, 1), "fields other than date and time"},
		"year 1899":          {with(0, 0x6b, 7), "1899-01-15 12:34:56"},
		"year 10000":         {with(0, 0x10, 0x27), "10000-01-15 12:34:56"},
		"month 13":           {with(2, 13), "2020-13-15 12:34:56"},
		"day 0":              {with(3, 0), "2020-01-00 12:34:56"},
		"day 32":             {with(3, 32), "2020-01-32 12:34:56"},
		"hour 24":            {with(4, 24), "24:34:56"},
		"minute 60":          {with(5, 60), "12:60:56"},
		"second 60":          {with(6, 60), "12:34:60"},
		"year and all zero":  {with(0, 0, 0), "0000-01-15 12:34:56"},
		"zeros but a second": {with(0, 0, 0, 0, 0, 0, 0, 1), "0000-00-00 00:00:01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := efi.ParseUpdate(test.b)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, %v, want %q", u, err, test.want)
			}
			if diff := cmp.Diff(efi.Update{}, u); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestContent spells out what UEFI 2.10, section 8.2.2, says that is signed.
func TestContent(t *testing.T) {
	t.Parallel()
	u := efi.Update{Time: stamp, PKCS7: []byte("signature"), Data: []byte("data")}
	const vendor = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
	const when = "\xe4\x07\x01\x0f\x0c\x22\x38" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for attributes, text := range map[uint32]string{
		efi.KeyAttributes:                   "\x27\x00\x00\x00",
		efi.KeyAttributes | efi.AppendWrite: "\x67\x00\x00\x00",
	} {
		want := "d\x00b\x00x\x00" + vendor + text + when + "data"
		if diff := cmp.Diff([]byte(want), u.Content("dbx", efi.ImageSecurity(), attributes)); diff != "" {
			t.Errorf("%#x: %s", attributes, diff)
		}
	}
}

func TestUpdateRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]efi.Update{
		"full":         {Time: stamp, PKCS7: []byte("signature"), Data: []byte("data")},
		"no data":      {Time: stamp, PKCS7: []byte{0}, Data: []byte{}},
		"no time":      {PKCS7: []byte("signature"), Data: []byte("data")},
		"31 September": {Time: efi.Stamp{Year: 2025, Month: 9, Day: 31}, PKCS7: []byte("x"), Data: []byte{}},
		"extremes":     {Time: efi.Stamp{Year: 9999, Month: 12, Day: 31, Hour: 23, Minute: 59, Second: 59}, PKCS7: []byte("x"), Data: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := efi.ParseUpdate(want.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 3600)
	for name, test := range map[string]struct {
		from time.Time
		want efi.Stamp
	}{
		"UTC":      {time.Date(2020, 1, 15, 12, 34, 56, 999, time.UTC), stamp},
		"zone":     {time.Date(2020, 1, 15, 13, 34, 56, 0, zone), stamp},
		"too late": {time.Date(70000, 1, 15, 12, 34, 56, 0, time.UTC), efi.Stamp{Year: 9999, Month: 1, Day: 15, Hour: 12, Minute: 34, Second: 56}},
		"too soon": {time.Time{}, efi.Stamp{Year: 1900, Month: 1, Day: 1}},
	} {
		if got := efi.NewStamp(test.from); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	if got, err := stamp.Time(); err != nil || !got.Equal(time.Date(2020, 1, 15, 12, 34, 56, 0, time.UTC)) {
		t.Errorf("%v is %v, %v", stamp, got, err)
	}
	for _, s := range []efi.Stamp{{}, {Year: 2020, Day: 15}, {Year: 2025, Month: 2, Day: 29}, {Year: 2020, Month: 1, Day: 1, Hour: 24}} {
		if got, err := s.Time(); err == nil {
			t.Errorf("%v is %v", s, got)
		}
	}
}
