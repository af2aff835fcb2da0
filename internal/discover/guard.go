package discover

import "os"

func (c *Candidate) exposed(*os.Root) error { return nil }
