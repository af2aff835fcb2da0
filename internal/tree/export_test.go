package tree

// ReadTarUpTo is ReadTar with another bound on entries: the real one takes
// seconds to reach.
var ReadTarUpTo = readTar
