package source

import (
	"context"
	"errors"
)

type patience struct{}

func openDaemon(ctx context.Context, ref string, o Options) (*Image, error) {
	return nil, errors.New("todo")
}

func openRegistry(ctx context.Context, ref string, o Options) (*Image, error) {
	return nil, errors.New("todo")
}

func openAny(ctx context.Context, ref string, o Options) (*Image, error) {
	return nil, errors.New("todo")
}
