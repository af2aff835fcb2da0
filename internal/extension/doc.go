// Package extension holds the words of the field: the kinds of extension and
// what each may carry, the names they go by, the architectures, the release file
// that says which hosts an extension fits, and the rules by which a host takes it
// (UAPI.4, and systemd-sysext(8) where the two differ).
//
// The rules are those of systemd 252 and later (255 for the suffixes of names,
// 257 for the look for the release file). Left out on purpose: SYSEXT_ID,
// IMAGE_ID and their like, which systemd matches nothing by, and ranges of
// versions, which it does not know.
package extension
