//go:build bench

package bench_test

// seed is AuroraBoot's for all system extensions.
const seed = "60f29b0d-f685-4878-b529-4ef35c3f1196"

func peers() []contender {
	// What Flatcar's bakery gives mkfs.erofs.
	bakery := []string{"-zlz4hc,12", "-C65536", "-Efragments,ztailpacking", "--all-root"}
	return []contender{
		{name: repartAlone, peer: true, argv: repartOf()},
		// Without loop devices even where it may use them, as here: mostly the
		// faster, and always the steadier of its two ways.
		{name: repartOffline, peer: true, argv: repartOf("--offline=yes")},
		{name: roadDaemon, peer: true, argv: roadOf(func(b *bench) string { return "daemon:" + b.socket() })},
		{name: roadDaemonNoLoop, peer: true, argv: roadOf(func(b *bench) string { return "daemon:" + b.socket() }, "--offline")},
		{name: roadLayout, peer: true, argv: roadOf(func(b *bench) string { return "layout:" + b.data.layout() }, "--offline")},
		{name: mkfsFolder, peer: true, made: bare, argv: mkfsOf(payload.tree)},
		{name: mkfsTar, peer: true, made: bare, argv: mkfsOf(payload.tar, "--tar=f", "--sort=none")},
		{name: mkfsLZ4, peer: true, made: bare, argv: mkfsOf(payload.tree, "-zlz4", "-C65536")},
		{name: mkfsLZ4Tar, peer: true, made: bare, argv: mkfsOf(payload.tar, "-zlz4", "-C65536", "--tar=f")},
		{name: mkfsZstd, peer: true, slow: true, made: bare, argv: mkfsOf(payload.tree, "-zzstd,3", "-C65536")},
		{name: flatcarErofs, peer: true, slow: true, made: unverified, argv: func(b *bench) [][]string {
			return [][]string{b.mkfs(b.data.tree(), bakery...)}
		}},
		{name: flatcarSquashfs, peer: true, slow: true, made: squashed, argv: func(b *bench) [][]string {
			return [][]string{{"mksquashfs", b.data.tree(), b.bareImage(), "-all-root", "-noappend", "-no-progress", "-quiet"}}
		}},
		{name: theFloor, peer: true, made: copied, argv: func(b *bench) [][]string {
			return [][]string{{b.tools.floor(), b.data.tar(), b.bareImage()}}
		}},
	}
}

// repartOf is systemd-repart given the unpacked payload.
func repartOf(flags ...string) func(*bench) [][]string {
	return func(b *bench) [][]string {
		argv := []string{
			"systemd-repart", "--make-ddi=sysext", "--seed=" + seed, "--private-key=" + b.tools.keys() + "/db.key",
			"--certificate=" + b.tools.keys() + "/db.pem", "--copy-source=" + b.data.tree(),
		}
		return [][]string{append(append(argv, flags...), b.image())}
	}
}

// roadOf is AuroraBoot's way, re-created: see the command "road".
func roadOf(source func(*bench) string, flags ...string) func(*bench) [][]string {
	return func(b *bench) [][]string {
		argv := append([]string{
			b.tools.road(), "--private-key=" + b.tools.keys() + "/db.key", "--certificate=" + b.tools.keys() + "/db.pem",
			"--output=" + b.output(),
		}, flags...)
		return [][]string{append(argv, extensionName, source(b))}
	}
}

// mkfsOf is mkfs.erofs, and a hash tree after it: no partitions, no signature.
func mkfsOf(source func(payload) string, flags ...string) func(*bench) [][]string {
	return func(b *bench) [][]string {
		return [][]string{
			b.mkfs(source(b.data), flags...),
			{
				"veritysetup", "format", "--salt=00", "--uuid=" + seed, "--root-hash-file=" + b.bareRoot(),
				b.bareImage(), b.bareTree(),
			},
		}
	}
}

func (b *bench) mkfs(source string, flags ...string) []string {
	argv := append([]string{"mkfs.erofs", "--quiet", "-U" + seed}, flags...)
	return append(argv, b.bareImage(), source)
}
