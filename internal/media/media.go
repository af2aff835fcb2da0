// Package media makes what a machine boots from: a unified kernel image out of
// the root file system of a container image or a folder, and the media that
// carry it.
//
// A root file system is merged in memory (internal/tree), its content kept in
// one file without a name beside the output, or read in place where it lies in
// a folder. Kernel, initrd, stub and os-release are found in it; the formats
// (internal/cpio, internal/uki) do the rest. Everything large is streamed, and
// files appear under their names when all of them are complete.
//
// Left out on purpose: making an initrd as dracut or initramfs-tools do (the
// source's own is taken, or the whole root is packed), kernels that are no EFI
// programs, and device trees.
package media
