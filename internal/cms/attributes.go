package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readAttributes reads the signed attributes of a program's signature, and
// returns what the signature is over: their set under its own tag (RFC 2315,
// section 9.3). They must be in DER's order, each once, and among them the type
// of the content and its digest, sum.
func readAttributes(signer *cryptobyte.String, sum []byte) ([]byte, error) {
	var set cryptobyte.String
	if !signer.ReadASN1(&set, explicit(0)) {
		return nil, errors.New("no signed attributes")
	}
	signed, err := build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(set) })
	})
	if err != nil {
		return nil, err
	}
	var last []byte
	values := make(map[string]cryptobyte.String)
	for !set.Empty() {
		var element, attribute, value cryptobyte.String
		var kind asn1.ObjectIdentifier
		if !set.ReadASN1Element(&element, casn1.SEQUENCE) {
			return nil, errors.New("a signed attribute is malformed")
		}
		whole := element
		switch {
		case !element.ReadASN1(&attribute, casn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&kind) ||
			!attribute.ReadASN1(&value, casn1.SET) || !attribute.Empty() || value.Empty():
			return nil, errors.New("a signed attribute is malformed")
		case len(values) == maxAttributes:
			return nil, fmt.Errorf("more than %d signed attributes", maxAttributes)
		case values[kind.String()] != nil:
			return nil, fmt.Errorf("the signed attribute %v comes twice", kind)
		case bytes.Compare(last, whole) > 0:
			// Some verifiers would put them in order before they hash them.
			return nil, errors.New("the signed attributes are not in DER's order")
		}
		values[kind.String()], last = value, whole
	}
	return signed, checkAttributes(values, sum)
}

// checkAttributes holds the attributes to the content.
func checkAttributes(values map[string]cryptobyte.String, sum []byte) error {
	kind, claimed := values[oidContentType().String()], values[oidMessageDigest().String()]
	var named asn1.ObjectIdentifier
	var named32 cryptobyte.String
	switch {
	case kind == nil:
		return errors.New("no signed attribute names the content's type")
	case !kind.ReadASN1ObjectIdentifier(&named) || !kind.Empty():
		return errors.New("the signed attribute with the content's type is malformed")
	case !named.Equal(oidIndirectData()):
		return fmt.Errorf("the signed attributes say that the content is of type %v", named)
	case claimed == nil:
		return errors.New("no signed attribute has the content's digest")
	case !claimed.ReadASN1(&named32, casn1.OCTET_STRING) || !claimed.Empty():
		return errors.New("the signed attribute with the content's digest is malformed")
	case !bytes.Equal(named32, sum):
		return errors.New("the signed attributes have another digest than the content")
	}
	return nil
}

// makeAttributes returns the inside of the set of attributes for a content whose
// digest is sum.
func makeAttributes(sum []byte) ([]byte, error) {
	kind, err := build(func(b *cryptobyte.Builder) {
		addAttribute(b, oidContentType(), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidIndirectData()) })
	})
	if err != nil {
		return nil, err
	}
	digest, err := build(func(b *cryptobyte.Builder) {
		addAttribute(b, oidMessageDigest(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) })
	})
	if err != nil {
		return nil, err
	}
	all := [][]byte{kind, digest}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil), nil
}

func addAttribute(b *cryptobyte.Builder, kind asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(kind)
		b.AddASN1(casn1.SET, value)
	})
}
