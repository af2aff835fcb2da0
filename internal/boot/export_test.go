package boot

// CommandWords takes a command line apart.
var CommandWords = commandWords

// Opening has fn called before an image is opened for its check, with a function that
// passes for the check coming on.
func (o *Options) Opening(fn func(fileName string, on func())) { o.opening = fn }
