package secureboot

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/keys"
)

// roles returns what gets a key, and of which kind.
func (o *SetOptions) roles() (roles []string, algorithms []keys.Algorithm) {
	if !o.ExtensionOnly {
		for _, name := range platform() {
			roles, algorithms = append(roles, name), append(algorithms, cmp.Or(o.Algorithm, keys.RSA2048))
		}
		roles, algorithms = append(roles, pcrKeyFile), append(algorithms, keys.RSA2048)
	}
	if o.ExtensionOnly || o.ExtensionKey != "" {
		roles, algorithms = append(roles, nameExtension), append(algorithms, cmp.Or(o.ExtensionKey, keys.RSA2048))
	}
	return roles, algorithms
}

// names returns the files that CreateSet makes.
func (o *SetOptions) names() []string {
	var names []string
	roles, _ := o.roles()
	for _, role := range roles {
		switch role {
		case pcrKeyFile:
			names = append(names, role)
		case nameExtension:
			names = append(names, role+".key", role+".pem")
		default:
			for _, suffix := range []string{".key", ".pem", ".der", ".esl", ".auth"} {
				names = append(names, role+suffix)
			}
		}
	}
	return names
}

// generate makes the keys at the same time: each takes a while.
func generate(ctx context.Context, algorithms []keys.Algorithm) ([]crypto.Signer, error) {
	type made struct {
		index int
		key   crypto.Signer
		err   error
	}
	done := make(chan made, len(algorithms)) // nobody is left waiting if ctx ends
	for i, a := range algorithms {
		go func() {
			key, err := keys.Generate(a)
			done <- made{i, key, err}
		}()
	}
	all := make([]crypto.Signer, len(algorithms))
	for range algorithms {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case m := <-done:
			if m.err != nil {
				return nil, m.err
			}
			all[m.index] = m.key
		}
	}
	return all, nil
}

// newOwner draws a random GUID (RFC 9562, version 4).
func newOwner(random io.Reader) (guid.GUID, error) {
	if random == nil {
		random = rand.Reader
	}
	var g guid.GUID
	if _, err := io.ReadFull(random, g[:]); err != nil {
		return guid.GUID{}, fmt.Errorf("drawing the owner's GUID: %w", err)
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g, nil
}

// after returns now, or a time after that of every update in the folder: firmware
// takes no update that is older than the one before.
func after(now time.Time, dir string) time.Time {
	for _, name := range platform() {
		data, err := readFile(filepath.Join(dir, name+".auth"))
		if err != nil {
			continue
		}
		u, err := efi.ParseUpdate(data)
		if err != nil {
			continue
		}
		if t, err := u.Time.Time(); err == nil && !now.After(t) {
			now = t.Add(time.Second)
		}
	}
	return now
}
