package build

// Identify names what o makes of a source with that stamp.
func Identify(o Options, stamp string) string { return o.identify(stamp) }
