package boot

import (
	"context"
)

// What follows is to be replaced, part by part.

func (p *pass) cover(context.Context) (string, error) { return "", nil }
func (p *pass) ownTrust(*judged) error                { return nil }
func (p *pass) export() error                         { return nil }
