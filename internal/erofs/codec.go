package erofs

// Algorithm is how the content of an image is compressed, by the format's
// number of it.
type Algorithm uint8

// The algorithms that a Writer takes.
const (
	LZ4  Algorithm = 0
	ZSTD Algorithm = 3
)

// Codec compresses what goes into an image.
type Codec interface {
	Algorithm() Algorithm

	// NewEncoder returns an Encoder for one goroutine. All Encoders of a Codec
	// make the same bytes of the same input.
	NewEncoder() Encoder

	// Memory returns about how many bytes an Encoder takes: there may be fewer of
	// them than processors.
	Memory() int

	// MaxInput returns the most bytes of content that one call of Compress is
	// given, a multiple of BlockSize.
	MaxInput() int

	// WindowLog returns the base-2 logarithm of the largest window that reading
	// takes, 10 to 20. Only ZSTD is asked.
	WindowLog() uint8
}

// Encoder compresses one physical cluster at a time.
type Encoder interface {
	// Compress appends to dst[:0] what a start of src compresses to, at most
	// cap(dst) bytes. It returns them and how many bytes of src they stand for.
	// An Encoder with output of fixed size takes as much of src as fits; one
	// with input of fixed size takes all of it or says ok = false. So does any
	// that saves nothing: what it was given is then stored as it is.
	Compress(dst, src []byte) (out []byte, used int, ok bool)
}
