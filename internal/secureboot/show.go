package secureboot

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"inlay/internal/efi"
	"inlay/internal/hint"
)

// Neighbours are the certificates by which updates are judged, by the variable
// that they are in.
type Neighbours map[string][]*x509.Certificate

// ReadNeighbours collects the certificates of PK, KEK and db in folders, from all
// files that are named after them. Files that cannot be read add nothing.
func ReadNeighbours(dirs ...string) Neighbours {
	found := make(Neighbours)
	for _, dir := range dirs {
		for _, name := range platform() {
			for _, file := range filesOf(name) {
				data, err := readFile(filepath.Join(dir, file))
				if err != nil {
					continue
				}
				if d, err := describe(file, data); err == nil {
					found.add(name, d)
				}
			}
		}
	}
	return found
}

// filesOf names the files that may hold a variable, those that tell most first.
func filesOf(variable string) []string {
	return []string{
		variable + ".auth", variable + ".esl", variable, efi.FileName(variable, vendorOfAny(variable)),
		variable + ".pem", variable + ".der", variable + ".crt",
	}
}

// DescribePath describes a file or, of a folder, one file for each of PK, KEK, db,
// dbx and the key for extensions.
func DescribePath(path string) ([]*Description, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, bare(err))
	}
	if !info.IsDir() {
		d, err := describeFile(path)
		if err != nil {
			return nil, err
		}
		return []*Description{d}, nil
	}
	var all []*Description
	for _, files := range [][]string{filesOf(namePK), filesOf(nameKEK), filesOf(nameDB), filesOf(nameDBX), {nameExtension + ".pem"}} {
		for _, file := range files {
			name := filepath.Join(path, file)
			info, err := os.Stat(name)
			if isNotExist(err) || err == nil && info.IsDir() {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading %q: %w", name, bare(err))
			}
			d, err := describeFile(name)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
			break
		}
	}
	if len(all) == 0 {
		return nil, hint.Wrap(fmt.Errorf("reading %q: %w", path, errors.New("no file of a set of keys is in this folder")), setHint)
	}
	return all, nil
}

func describeFile(name string) (*Description, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return Describe(name, data)
}

// FirmwareState is what firmware says of Secure Boot.
type FirmwareState struct {
	SecureBoot, SetupMode *bool // nil if it does not say
	Variables             []*Description
}

// DescribeFirmware describes the keys of a live firmware, whose variables lie in
// root, an efivarfs. Variables that are not there are left out.
func DescribeFirmware(root *os.Root) (*FirmwareState, error) {
	state := new(FirmwareState)
	var err error
	if state.SecureBoot, err = readFlag(root, "SecureBoot"); err != nil {
		return nil, err
	}
	if state.SetupMode, err = SetupMode(root); err != nil {
		return nil, err
	}
	for _, name := range []string{namePK, nameKEK, nameDB, nameDBX} {
		v, err := readVariable(root, name)
		switch {
		case isNotExist(err):
			continue
		case err != nil:
			return nil, err
		}
		d := &Description{Origin: "firmware", Form: FormVariable, Variable: name}
		lists, err := efi.ParseLists(v.Data)
		if err != nil {
			return nil, fmt.Errorf("reading the firmware's %s: %w", name, err)
		}
		d.describeLists(lists)
		state.Variables = append(state.Variables, d)
	}
	return state, nil
}

// SetupMode says whether firmware, whose variables lie in root, takes a platform
// key from anybody; nil if it does not say.
func SetupMode(root *os.Root) (*bool, error) { return readFlag(root, "SetupMode") }
