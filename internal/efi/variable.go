package efi

import (
	"encoding/binary"
	"errors"
	"fmt"

	"inlay/internal/hint"
)

// Attributes of variables (UEFI 2.10, section 8.2).
const (
	NonVolatile         = 0x01 // survives a reset
	BootServiceAccess   = 0x02 // readable before the operating system runs
	RuntimeAccess       = 0x04 // readable by the operating system
	TimeBasedAuthWrites = 0x20 // written only by signed updates with a later time
	AppendWrite         = 0x40 // of an update: adds to the value

	// KeyAttributes are those of PK, KEK, db and dbx.
	KeyAttributes = NonVolatile | BootServiceAccess | RuntimeAccess | TimeBasedAuthWrites

	// allAttributes are all bits that mean something.
	allAttributes = 0xff
)

// Variable is a firmware variable.
type Variable struct {
	Attributes uint32
	Data       []byte
}

// ParseVariable reads a variable as its file in efivarfs shows it: four bytes of
// attributes, then the data. Attributes that UEFI does not define are refused:
// they mean that b is something else.
//
// Data shares memory with b.
func ParseVariable(b []byte) (Variable, error) {
	if err := checkSize(b); err != nil {
		return Variable{}, fmt.Errorf("reading a firmware variable: %w", err)
	}
	if len(b) < 4 {
		return Variable{}, fmt.Errorf("reading a firmware variable: %d bytes, want 4 of attributes and the data", len(b))
	}
	v := Variable{Attributes: binary.LittleEndian.Uint32(b), Data: b[4:]}
	if v.Attributes&^allAttributes != 0 {
		return Variable{}, hint.Wrap(
			fmt.Errorf("reading a firmware variable: the attributes %#08x are not defined", v.Attributes),
			"give the variable's file from efivarfs, which starts with 4 bytes of attributes")
	}
	return v, nil
}

// Marshal returns the variable as ParseVariable reads it.
func (v Variable) Marshal() []byte {
	return append(binary.LittleEndian.AppendUint32(nil, v.Attributes), v.Data...)
}

// Flag returns the value of a variable that is on or off, such as SecureBoot and
// SetupMode: one byte, 0 or 1.
func (v Variable) Flag() (bool, error) {
	switch {
	case len(v.Data) != 1:
		return false, fmt.Errorf("reading a flag: %d bytes, want 1", len(v.Data))
	case v.Data[0] > 1:
		return false, errors.New("reading a flag: neither 0 nor 1")
	}
	return v.Data[0] == 1, nil
}
