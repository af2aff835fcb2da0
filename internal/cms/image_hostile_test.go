package cms_test

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"

	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/cms"
)

// program is the parts of a program's signature, so that a test can break one and
// have the rest signed as it should be.
type program struct {
	digests     [][]byte
	contentType []byte // of the content part
	content     []byte // inside of the SpcIndirectDataContent
	tail        []byte // after it
	attributes  [][]byte
	unsorted    bool
	untagged    bool // no [0] around the attributes
	signers     int
	unsigned    []byte
}

// attribute is a signed attribute.
func attribute(t *testing.T, kind []byte, values ...[]byte) []byte {
	t.Helper()
	return sequence(t, casn1.SEQUENCE, kind, sequence(t, casn1.SET, values...))
}

func (p program) der(t *testing.T) []byte {
	t.Helper()
	if !p.unsorted {
		slices.SortFunc(p.attributes, bytes.Compare)
	}
	cert := certificate(t, "rsa")
	context := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	signature, err := privateKey(t, "rsa").Sign(nil, digestOf(sequence(t, casn1.SET, p.attributes...)), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	attributes := sequence(t, context(0), p.attributes...)
	if p.untagged {
		attributes = nil
	}
	signer := sequence(t, casn1.SEQUENCE,
		[]byte{2, 1, 1},
		sequence(t, casn1.SEQUENCE, cert.RawIssuer, sequence(t, casn1.INTEGER, cert.SerialNumber.Bytes())),
		algorithmOf(t, 2, 16, 840, 1, 101, 3, 4, 2, 1),
		attributes,
		algorithmOf(t, 1, 2, 840, 113549, 1, 1, 1),
		sequence(t, casn1.OCTET_STRING, signature),
		p.unsigned,
	)
	signed := sequence(t, casn1.SEQUENCE,
		[]byte{2, 1, 1},
		sequence(t, casn1.SET, p.digests...),
		sequence(t, casn1.SEQUENCE, p.contentType, sequence(t, context(0), sequence(t, casn1.SEQUENCE, p.content), p.tail)),
		sequence(t, context(0), cert.Raw),
		sequence(t, casn1.SET, bytesTimes(signer, p.signers)...),
	)
	return sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 840, 113549, 1, 7, 2), sequence(t, context(0), signed))
}

func algorithmOf(t *testing.T, arcs ...int) []byte {
	t.Helper()
	return sequence(t, casn1.SEQUENCE, oid(t, arcs...), []byte{5, 0})
}

func TestParseImageRefusesHostileParts(t *testing.T) {
	t.Parallel()
	digest := programDigest(t)
	null := []byte{5, 0}
	spc := func(last ...int) []byte { return oid(t, append([]int{1, 3, 6, 1, 4, 1, 311, 2, 1}, last...)...) }
	sha256, sha512 := algorithmOf(t, 2, 16, 840, 1, 101, 3, 4, 2, 1), algorithmOf(t, 2, 16, 840, 1, 101, 3, 4, 2, 3)
	contentType, messageDigest := oid(t, 1, 2, 840, 113549, 1, 9, 3), oid(t, 1, 2, 840, 113549, 1, 9, 4)
	image := sequence(t, casn1.SEQUENCE, spc(15), sequence(t, casn1.SEQUENCE, []byte{3, 1, 0}))
	info := sequence(t, casn1.SEQUENCE, sha256, sequence(t, casn1.OCTET_STRING, digest[:]))
	content := slices.Concat(image, info)
	typed := attribute(t, contentType, spc(4))
	digested := func(content []byte) []byte {
		return attribute(t, messageDigest, sequence(t, casn1.OCTET_STRING, digestOf(content)))
	}
	other := attribute(t, oid(t, 1, 2, 3), null)
	// with changes the content, and the digest along.
	with := func(parts ...[]byte) func(*program) {
		return func(p *program) {
			p.content = slices.Concat(parts...)
			p.attributes[1] = digested(p.content)
		}
	}
	attributes := func(all ...[]byte) func(*program) { return func(p *program) { p.attributes = all } }
	var seventeen [][]byte
	for i := range 17 {
		seventeen = append(seventeen, attribute(t, oid(t, 1, 2, 100+i), null))
	}

	tests := map[string]struct {
		damage func(p *program)
		want   string // empty: it must be accepted
	}{
		"nothing broken":         {func(*program) {}, ""},
		"another attribute":      {attributes(typed, digested(content), other), ""},
		"no digest algorithm":    {func(p *program) { p.digests = nil }, "algorithm is malformed"},
		"two digest algorithms":  {func(p *program) { p.digests = [][]byte{sha256, sha512} }, "more than one digest"},
		"another digest":         {func(p *program) { p.digests = [][]byte{sha512} }, "declares SHA-512"},
		"SHA-1 alone":            {func(p *program) { p.digests = [][]byte{algorithmOf(t, 1, 3, 14, 3, 2, 26)} }, "SHA-1"},
		"plain data":             {func(p *program) { p.contentType = oid(t, 1, 2, 840, 113549, 1, 7, 1) }, "not the signature of a program"},
		"bytes after content":    {func(p *program) { p.tail = null }, "content part is malformed"},
		"no content":             {with(), "what is signed is malformed"},
		"no digest in content":   {with(image), "what is signed is malformed"},
		"a third part":           {with(content, null), "what is signed is malformed"},
		"not of a program":       {with(sequence(t, casn1.SEQUENCE, spc(25), sequence(t, casn1.SEQUENCE)), info), "and no program"},
		"no image data":          {with(sequence(t, casn1.SEQUENCE, spc(15)), info), "what is signed is malformed"},
		"two image data":         {with(sequence(t, casn1.SEQUENCE, spc(15), []byte{0x30, 0, 0x30, 0}), info), "what is signed is malformed"},
		"image digest SHA-512":   {with(image, sequence(t, casn1.SEQUENCE, sha512, sequence(t, casn1.OCTET_STRING, make([]byte, 64)))), "program's digest is SHA-512"},
		"image digest SHA-1":     {with(image, sequence(t, casn1.SEQUENCE, algorithmOf(t, 1, 3, 14, 3, 2, 26), sequence(t, casn1.OCTET_STRING, make([]byte, 20)))), "SHA-1"},
		"image digest cut":       {with(image, sequence(t, casn1.SEQUENCE, sha256, sequence(t, casn1.OCTET_STRING, digest[:31]))), "program's digest is malformed"},
		"image digest longer":    {with(image, sequence(t, casn1.SEQUENCE, sha256, sequence(t, casn1.OCTET_STRING, digest[:]), null)), "program's digest is malformed"},
		"no attributes":          {func(p *program) { p.untagged = true }, "no signed attributes"},
		"an empty set":           {attributes(), "no signed attribute names the content's type"},
		"no content type":        {attributes(digested(content)), "no signed attribute names the content's type"},
		"no message digest":      {attributes(typed), "no signed attribute has the content's digest"},
		"content type of data":   {attributes(attribute(t, contentType, oid(t, 1, 2, 840, 113549, 1, 7, 1)), digested(content)), "of type 1.2.840.113549.1.7.1"},
		"two content types":      {attributes(attribute(t, contentType, spc(4), spc(4)), digested(content)), "content's type is malformed"},
		"content type of NULL":   {attributes(attribute(t, contentType, null), digested(content)), "content's type is malformed"},
		"content type twice":     {attributes(typed, typed, digested(content)), "comes twice"},
		"other message digest":   {attributes(typed, digested([]byte("other"))), "another digest than the content"},
		"digest of the sequence": {attributes(typed, digested(sequence(t, casn1.SEQUENCE, content))), "another digest than the content"},
		"message digest twice":   {attributes(typed, digested(content), digested([]byte("other"))), "comes twice"},
		"two values of digest": {
			attributes(typed, attribute(t, messageDigest, sequence(t, casn1.OCTET_STRING, digestOf(content)), sequence(t, casn1.OCTET_STRING, digestOf(content)))),
			"content's digest is malformed",
		},
		"message digest cut":       {attributes(typed, attribute(t, messageDigest, sequence(t, casn1.OCTET_STRING, digestOf(content)[:31]))), "another digest"},
		"another attribute twice":  {attributes(typed, digested(content), other, attribute(t, oid(t, 1, 2, 3), []byte{5, 0}, null)), "comes twice"},
		"without a value":          {attributes(typed, digested(content), attribute(t, oid(t, 1, 2, 3))), "attribute is malformed"},
		"an attribute of junk":     {attributes(typed, digested(content), null), "attribute is malformed"},
		"bytes after an attribute": {attributes(typed, digested(content), sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 3), sequence(t, casn1.SET, null), null)), "attribute is malformed"},
		"not in order": {func(p *program) {
			p.attributes, p.unsorted = [][]byte{digested(content), typed}, true
		}, "not in DER's order"},
		"too many attributes": {attributes(append(seventeen, typed, digested(content))...), "more than 16 signed attributes"},
		"no signer":           {func(p *program) { p.signers = 0 }, "no signer"},
		"two signers":         {func(p *program) { p.signers = 2 }, "more than one signer"},
		"unsigned attributes": {func(p *program) { p.unsigned = sequence(t, 0xa1, other) }, ""},
		"more than those":     {func(p *program) { p.unsigned = append(sequence(t, 0xa1, other), null...) }, "bytes follow"},
		"something else":      {func(p *program) { p.unsigned = null }, "bytes follow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := program{
				digests: [][]byte{sha256}, contentType: spc(4), content: content,
				attributes: [][]byte{typed, digested(content)}, signers: 1,
			}
			test.damage(&p)
			parsed, err := cms.ParseImage(p.der(t))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want == "":
				if err := parsed.Verify(certificate(t, "rsa")); err != nil {
					t.Error(err)
				}
			case err == nil || !strings.Contains(err.Error(), test.want):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// A signature over something else than the attributes' set is none.
func TestVerifyImageRefuses(t *testing.T) {
	t.Parallel()
	der := bytes.Clone(vector(t, "program-osslsigncode.p7"))
	// The time of signing is nothing that we look at; but it is signed.
	at := bytes.LastIndex(der, []byte("Z\x30"))
	if at < 0 {
		t.Fatal("no time of signing")
	}
	der[at-1] ^= 1
	parsed, err := cms.ParseImage(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(certificate(t, "rsa")); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("error %v", err)
	}
}
