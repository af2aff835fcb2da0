// Package witness holds the tests in which outside tools judge images that the
// real program built from what real tools made: a Docker daemon, a registry,
// skopeo, umoci and Debian's own packages.
package witness
