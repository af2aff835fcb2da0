// Package machines holds the tests of the third tier: what inlay makes is used
// by a real kernel and a real systemd in virtual machines. They are built only
// with the tag "machines" (make test-machines).
package machines
