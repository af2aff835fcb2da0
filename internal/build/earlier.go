package build

import (
	"context"
	"errors"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/tree"
)

// earlierLayers speaks of the commonest trap: an image made FROM scratch by
// several COPY lines, of which the last layer holds only one. Where the image
// has a base, files in earlier layers are what one expects.
func (b *builder) earlierLayers(ctx context.Context) error {
	below := b.result.Source.Layers
	if len(below) == 0 || below[0] == 1 {
		return nil
	}
	base, err := b.image.Base(ctx)
	if err != nil {
		return err
	}
	if base {
		b.note("the image has a base; of its %d layers, %s went in (--layers all takes every layer)",
			b.result.Source.LayersOf, b.result.Source.LayersText())
		return nil
	}
	b.step(StepLook)
	missing, err := b.scanEarlier(ctx)
	if err != nil {
		return err
	}
	names := strings.Join(missing.Names, ", ")
	switch missing.Count {
	case 0:
	case 1:
		b.warn("1 file below %s lies in an earlier layer and is not in the image (%s): --layers all takes every layer",
			slashed(b.folders()), names)
	default:
		b.warn("%d files below %s lie in earlier layers and are not in the image (%s): --layers all takes every layer",
			missing.Count, slashed(b.folders()), names)
	}
	return nil
}

// scanEarlier lists what the layers below the chosen ones hold that the tree
// does not, and that no layer above deletes.
func (b *builder) scanEarlier(ctx context.Context) (LeftOut, error) {
	var missing LeftOut
	seen := map[string]bool{}
	folders := b.folders()
	for i := b.result.Source.Layers[0] - 2; i >= 0; i-- {
		here := tree.Mask{}
		err := b.image.Layers[i].Names(ctx, func(e *tree.Entry) error {
			here.Delete(e)
			switch e.Kind {
			case tree.Directory, tree.Whiteout, tree.Opaque:
				return nil
			}
			if seen[e.Name] || !extension.Within(e.Name, folders) || b.tree.Lookup(e.Name) != nil || b.deleted.Hides(e.Name) {
				return nil
			}
			if len(seen) == maxScanned {
				return errEnough
			}
			seen[e.Name] = true
			missing.add(e.Name)
			return nil
		})
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return LeftOut{}, err
		}
		// Deletions act on the layers below their own.
		b.deleted.Join(here)
	}
	return missing, nil
}

// maxScanned bounds what scanEarlier remembers; nobody reads a larger number.
const maxScanned = 100_000

var errEnough = errors.New("enough seen")
