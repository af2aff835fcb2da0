package build

import (
	"context"
	"errors"
	"slices"
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
	count, folders := b.result.Source.Layers[0]-1, b.folders()
	names, deleted := make([][]string, count), make([]tree.Mask, count)
	kept := 0
	err := b.image.NamesBelow(ctx, count, func(layer int, e *tree.Entry) error {
		if deleted[layer] == nil {
			deleted[layer] = tree.Mask{}
		}
		deleted[layer].Delete(e)
		switch e.Kind {
		case tree.Directory, tree.Whiteout, tree.Opaque:
			return nil
		}
		if !extension.Within(e.Name, folders) || b.tree.Lookup(e.Name) != nil || b.deleted.Hides(e.Name) {
			return nil
		}
		if kept++; kept > maxScanned {
			return errEnough
		}
		names[layer] = append(names[layer], strings.Clone(e.Name))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return LeftOut{}, err
	}
	seen := map[string]bool{}
	for layer, here := range slices.Backward(names) {
		for _, name := range here {
			if !seen[name] && !b.deleted.Hides(name) {
				seen[name] = true
				missing.add(name)
			}
		}
		// Deletions act on the layers below their own.
		b.deleted.Join(deleted[layer])
	}
	return missing, nil
}

// maxScanned bounds what scanEarlier remembers; nobody reads a larger number.
const maxScanned = 100_000

var errEnough = errors.New("enough seen")
