package layer

// DropIn is where the drop-in lies below the service's folder, and what it says.
const (
	DropIn     = dropInName
	DropInText = dropInText
)

// OverlaysOf is overlaysOf.
func OverlaysOf(text, source string) []string { return overlaysOf(text, source) }

// Words is words.
func Words(said []byte) string { return words(said) }

// Running takes the root for that of the running system.
func (s *Systemd) Running() *Systemd {
	s.running = true
	return s
}

// Running takes the root for that of the running system.
func (e *SystemdEngine) Running() { e.systemd.running = true }
