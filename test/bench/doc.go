// Package bench measures what a build costs beside other ways to the same
// image, systemd-repart 257 above all, and what a verification costs beside
// veritysetup, and merging beside systemd-sysext, on the same input in the same
// run. It is built only with the tag "bench" (make bench) and is a report: it fails when a
// contender fails or makes an image that a witness refuses, never because of a
// time. docs/performance.md says what the figures mean.
package bench
