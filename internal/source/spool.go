package source

import (
	"context"
	"fmt"
	"io"
	"os"
)

// spool copies r into a file without a name in dir: whatever happens to this
// process, nothing is left behind. The position is back at the start.
func spool(ctx context.Context, dir string, r io.Reader) (*os.File, int64, error) {
	f, err := os.CreateTemp(dir, ".inlay-spool-*")
	if err != nil {
		return nil, 0, fmt.Errorf("making a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("making a spool file: %w", err)
	}
	size, err := io.Copy(f, &patientReader{ctx, r})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("spooling: %w", err)
	}
	return f, size, nil
}

// patientReader ends a copy between two reads when its context is done.
type patientReader struct {
	ctx context.Context // of the one copy
	r   io.Reader
}

func (p *patientReader) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	return p.r.Read(b)
}
