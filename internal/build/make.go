package build

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"inlay/internal/source"
)

// Make opens the source that o names and builds the image, unless the very
// image is there already: made by the same program of the same source with the
// same options, and not written to since.
func Make(ctx context.Context, from source.Options, o Options) (result *Result, err error) {
	began := time.Now()
	known := o.recorded()
	defer known.close()
	if known != nil {
		stamp, err := source.Stamp(ctx, o.Reference, from)
		if err != nil {
			return nil, err
		}
		if same := o.unchanged(known, stamp); same != nil {
			return same, nil
		}
	}
	image, err := source.Open(ctx, o.Reference, from)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, image.Close()); err != nil {
			result = nil
		}
	}()
	if same := o.unchanged(known, image.Stamp()); same != nil {
		return same, nil
	}
	asked := o // Run decides what was left to it
	// Asked when all is read: whatever has changed since the build began shows.
	o.identity = func() string { return asked.identify(image.StampRead(ctx, began)) }
	return Run(ctx, image, o)
}

// path is where the image appears.
func (o *Options) path() string { return filepath.Join(o.Output, o.Kind.FileName(o.Name)) }
