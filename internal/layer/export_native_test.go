package layer

// Running takes the root for that of the running system.
func (n *Native) Running() { n.running, n.manager.running = true, true }

// Escape and Unescape are of the paths in markers.
func Escape(text string) string { return escape(text) }

// Unescape undoes Escape.
func Unescape(text string) (string, error) { return unescapeC(text) }

// IsUnit is isUnit.
func IsUnit(name string) bool { return isUnit(name) }
