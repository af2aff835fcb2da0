// Package extension holds the words of the field: the kinds of extension and
// what each may carry, the names they go by, the architectures, and the
// release file that says which hosts an extension fits (UAPI.4, and
// systemd-sysext(8) where the two differ).
//
// Matching a release with a host joins this package with the verifier.
package extension
