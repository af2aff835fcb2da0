package bundle

// WithoutExchange is o on a file system that cannot exchange two folders.
func WithoutExchange(o Options) Options {
	o.noExchange = true
	return o
}
