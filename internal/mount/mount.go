// Package mount is the kernel's mount interface, and knows nothing of
// extensions. It makes trees of mounts that nobody sees yet (file systems,
// overlays of many layers, clones of what is mounted), attaches them, swaps one
// for another and takes them down.
//
// Which call is used for what, since when Linux has it, and what is done before:
//
//	fsopen, fsconfig, fsmount,   5.2   A mount is complete before anybody sees it,
//	open_tree, move_mount              and a descriptor keeps it without a place.
//	                                   Before: mount(2) in a private tmpfs.
//	mount_setattr                5.12  Flags and propagation of a mount that has no
//	                                   place. Before: mount(2) in a staging place.
//	MOVE_MOUNT_BENEATH           6.5   The new tree goes beneath the old one, which
//	                                   is then taken away from above it: no path
//	                                   ever misses. Before: unmount, mount.
//	fsconfig "lowerdir+"         6.8   A layer for each call, of 255 bytes as a
//	                                   string. Before: mount(2), whose options are
//	                                   one page of 4096 bytes.
//	FSCONFIG_SET_FD "lowerdir+"  6.13  A layer is what was opened, not a name.
//	layers that are detached,    6.15  No staging place at all. Before, layers have
//	mounts on detached ones            to be attached in the mount namespace of the
//	                                   thread that makes the overlay. (Layers as
//	                                   descriptors are used from here on only.)
//
// The staging place is a mount namespace of a thread of our own, with one tmpfs
// in it: layers go in as clones called 0, 1, 2 …, and the overlay comes out as
// one. So names are as short as can be, and nothing shows anywhere if the
// process dies. Before 5.2 mounts cannot change their namespace, and the place is
// a private tmpfs in the caller's.
//
// Clones are made private, with all they carry: a clone of a shared mount is its
// peer, and unmounting a tree that has one would unmount what lies on the
// original, too. Attached below a shared mount they are shared again, in groups of
// their own, so that what is mounted appears in every namespace that receives it.
//
// Left out on purpose: user namespaces and idmapped mounts, automounts (they are
// cloned as they are, and not woken up), and looking for what file system a device
// holds.
package mount
