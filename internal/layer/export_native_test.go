package layer

// Running takes the root for that of the running system.
func (n *Native) Running() { n.running, n.manager.running = true, true }

// Fail has a merge fail before a tree is put into place at a path.
func (n *Native) Fail(fault func(path string) error) { n.fault = fault }

// Escape and Unescape are of the paths in markers.
func Escape(text string) string { return escape(text) }

// Unescape undoes Escape.
func Unescape(text string) (string, error) { return unescapeC(text) }

// IsUnit is isUnit.
func IsUnit(name string) bool { return isUnit(name) }
