// Package verify says of one extension whether it can be trusted, and why: the
// same answer at download, at boot, at merge and for anybody who asks. It runs
// a fixed list of checks, from the partition table inwards, and stops at the
// first that refuses; what each found stands in the [Verdict].
//
// Nothing is mounted and nothing is written. The file is opened once, the hash
// tree is checked from the root hash down, and what is read of the file system
// afterwards comes through the tree again, so that a file that changes under
// the verifier's eyes is noticed and not believed.
//
// It follows UAPI.3 (disk images), UAPI.4 (extension images) and, for what they
// leave open, systemd's image dissection, but is stricter: systemd-dissect
// --validate looks at no signature and at no hash. Left out on purpose:
// encrypted partitions, images with a root and a usr file system, and hash trees
// of other shapes than those of internal/verity.
package verify
