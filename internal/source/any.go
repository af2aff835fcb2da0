package source

import (
	"context"
	"fmt"

	"inlay/internal/hint"
)

// openAny asks the daemon first and takes its image only if it fits.
func openAny(ctx context.Context, image string, o Options) (*Image, error) {
	im, err := openDaemon(ctx, image, o)
	var reason string
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		reason = oneLine(err)
	case im.OS == "linux" && im.Architecture == o.architecture():
		return im, nil
	default:
		reason = "the daemon's image is " + platform{OS: im.OS, Architecture: im.Architecture}.String()
		if err := im.Close(); err != nil {
			return nil, err
		}
	}
	im, err = openRegistry(ctx, image, o)
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, reason)
		if advice := localPath(image); advice != "" {
			err = hint.Wrap(err, advice)
		}
		return nil, err
	}
	im.Origin += fmt.Sprintf(" (%s)", reason)
	return im, nil
}
