// Package layering holds the merges of inlay to those of systemd-sysext and
// systemd-confext: the same small systems are given to systemd 257, to the newest
// systemd and to inlay's own engine, each in a root of its own, and what can be
// seen afterwards must be the same.
//
// The newest systemd is the model. Where an older one is known to do something
// else, versions_test.go says so; where inlay does so on purpose,
// differences_test.go and docs/layering-differences.md say why. What becomes of
// every case stands in testdata/outcomes.txt (-update writes it anew).
//
// Images with a hash tree need device-mapper, and so a virtual machine: they are
// tested in test/machines.
package layering
