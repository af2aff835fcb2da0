package build

import "inlay/internal/erofs"

// Codec returns what c compresses with.
func Codec(c Compression) erofs.Codec {
	codec, _ := c.codec()
	return codec
}
