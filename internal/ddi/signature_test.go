package ddi_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
)

const (
	hexRoot  = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
	hexPrint = "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
	sigText  = `{"rootHash":"` + hexRoot + `","certificateFingerprint":"` + hexPrint + `","signature":"MIL+/w=="}`
)

func sample() *ddi.Signature {
	s := &ddi.Signature{PKCS7: []byte{0x30, 0x82, 0xfe, 0xff}}
	for i := range 32 {
		s.RootHash[i], s.Fingerprint[i] = 0xa0+byte(i), 0xc0+byte(i)
	}
	return s
}

func TestSignatureMarshal(t *testing.T) {
	t.Parallel()
	got, err := sample().Marshal()
	if err != nil || string(got) != sigText {
		t.Errorf("got %s: %v", got, err)
	}
	bare := sample()
	bare.Fingerprint = [32]byte{}
	if got, err := bare.Marshal(); err != nil || bytes.Contains(got, []byte("certificate")) {
		t.Errorf("got %s: %v", got, err)
	}
	for _, size := range []int{0, 4 << 20} {
		large := sample()
		large.PKCS7 = make([]byte, size)
		if _, err := large.Marshal(); err == nil {
			t.Errorf("%d bytes of PKCS#7 are written", size)
		}
	}
}

func TestParseSignature(t *testing.T) {
	t.Parallel()
	bare := sample()
	bare.Fingerprint = [32]byte{}
	for name, test := range map[string]struct {
		text string
		want *ddi.Signature
	}{
		"no NUL":          {sigText, sample()},
		"padded":          {sigText + strings.Repeat("\x00", 16384-len(sigText)), sample()},
		"one NUL":         {sigText + "\x00", sample()},
		"unknown keys":    {strings.Replace(sigText, "{", `{"x":[{"rootHash":1}],"RootHash":null,`, 1), sample()},
		"no fingerprint":  {strings.Replace(sigText, `"certificateFingerprint":"`+hexPrint+`",`, "", 1), bare},
		"null":            {strings.Replace(sigText, `"`+hexPrint+`"`, "null", 1), bare},
		"with spaces":     {strings.ReplaceAll(sigText, ",", " ,\n\t") + " \n", sample()},
		"in another form": {strings.Replace(sigText, `"rootHash"`, `"\u0072ootHash"`, 1), sample()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ddi.ParseSignature([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseSignatureHostile(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 16384} {
		if _, err := ddi.ParseSignature(make([]byte, size)); !errors.Is(err, ddi.ErrDeferred) {
			t.Errorf("%d NULs: %v", size, err)
		}
	}
	replace := func(old, by string) string { return strings.Replace(sigText, old, by, 1) }
	for name, test := range map[string]struct{ text, want string }{
		"too large":              {sigText + strings.Repeat("\x00", 4<<20), "at most 4194304"},
		"bytes after the NUL":    {sigText + "\x00\x00x", "bytes after the text's end"},
		"second object":          {sigText + "{}", "goes on after"},
		"rubbish":                {sigText + "x", "goes on after"},
		"NUL first":              {"\x00" + sigText, "bytes after the text's end"},
		"array":                  {"[" + sigText + "]", "not a JSON object"},
		"number":                 {"12", "not a JSON object"},
		"cut":                    {sigText[:len(sigText)-1], "EOF"},
		"cut value":              {sigText[:40], "rootHash"},
		"comment":                {"/* */" + sigText, "not a JSON object"},
		"no root hash":           {replace(`"rootHash"`, `"roothash"`), "rootHash is not 64"},
		"no signature":           {replace(`"signature"`, `"Signature"`), "signature is not base64"},
		"root hash twice":        {replace("{", `{"rootHash":"`+hexRoot+`",`), `"rootHash" comes twice`},
		"escaped twice":          {replace("{", `{"\u0072ootHash":"`+hexRoot+`",`), `"rootHash" comes twice`},
		"unknown twice":          {replace("{", `{"x":1,"x":2,`), `"x" comes twice`},
		"short root hash":        {replace(hexRoot, hexRoot[2:]), "rootHash is not 64"},
		"long root hash":         {replace(hexRoot, hexRoot+"00"), "rootHash is not 64"},
		"no digits":              {replace(hexRoot, strings.Repeat("g", 64)), "rootHash is not 64"},
		"upper case":             {replace(hexRoot, strings.ToUpper(hexRoot)), "rootHash is not in lower case"},
		"root hash is a number":  {replace(`"`+hexRoot+`"`, "5"), `value of "rootHash"`},
		"root hash is null":      {replace(`"`+hexRoot+`"`, "null"), "rootHash is not 64"},
		"fingerprint":            {replace(hexPrint, "00"), "certificateFingerprint is not 64"},
		"base64 with a line end": {replace("MIL+/w==", `MIL+\n/w==`), "signature is not base64"},
		"base64 without padding": {replace("MIL+/w==", "MIL+/w"), "signature is not base64"},
		"base64 with more bits":  {replace("MIL+/w==", "MIL+/x=="), "signature is not base64"},
		"base64 for URLs":        {replace("MIL+/w==", "MIL-_w=="), "signature is not base64"},
		"empty signature":        {replace("MIL+/w==", ""), "signature is not base64"},
		"deep":                   {replace("{", `{"x":`+strings.Repeat("[", 1<<20)+","), "depth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := ddi.ParseSignature([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || s != nil {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add([]byte(sigText))
	f.Add([]byte(sigText + "\x00\x00"))
	f.Add([]byte(`{"rootHash":null,"x":[1,{}],"signature":"MA=="}`))
	f.Add(make([]byte, 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ddi.ParseSignature(b)
		if err != nil {
			return
		}
		text, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ddi.ParseSignature(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Fatal(diff)
		}
	})
}
