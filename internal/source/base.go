package source

import (
	"context"
	"errors"
	"fmt"

	"inlay/internal/tree"
)

// Base tells whether the image stands on a base distribution rather than FROM
// scratch, by reading the lowest layer up to the first sign of one. After a
// walk of that layer it costs nothing.
func (im *Image) Base(ctx context.Context) (bool, error) {
	lowest := im.Layers[0]
	switch lowest.base.Load() {
	case baseFound:
		return true, nil
	case baseAbsent:
		return false, nil
	}
	err := lowest.probe(ctx, func(e *tree.Entry) error {
		if isBaseMarker(e.Name) {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		lowest.base.Store(baseFound)
		return true, nil
	case err != nil:
		return false, fmt.Errorf("looking for a base distribution: %w", err)
	}
	lowest.base.Store(baseAbsent)
	return false, nil
}

// What is known of a layer as a base: nothing at first.
const (
	baseFound int32 = iota + 1
	baseAbsent
)

// isBaseMarker knows what every distribution's root has and no extension's
// tree begins with, as extensions live below usr, opt and etc.
func isBaseMarker(name string) bool {
	switch name {
	case "bin", "sbin", "lib", "lib64", "etc/os-release", "usr/lib/os-release":
		return true
	}
	return false
}
