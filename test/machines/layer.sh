# layer.sh: the cases of TestLayer. Sourced in the machine, after device.sh,
# whose functions it uses.

# merger CASE WORD...: reports what the merger answers.
merger() {
  name=$1
  shift
  result "$name" "$(/run/merger "$@")"
}

# extension IMAGE: makes the image of the payload the only extension.
extension() {
  rm -f /var/lib/extensions/*
  cp "/payload/$1" /var/lib/extensions/hello.sysext.raw
}

# devices CASE: reports how the merge can be read, and through which devices.
devices_of() {
  result "$1" "content=$(content '') verity=$(dmsetup table | grep -c ' verity 1 ') loops=$(losetup -a | wc -l)"
}

layers() {
  cp /payload/merger /run
  chmod +x /run/merger
  trust signer.pem

  extension good.raw
  merger good merge
  devices_of good-content
  merger good-report report hello
  result good-systemd "status=$(systemd-sysext status --json=short | tr -d ' ')"
  merger good-unchanged refresh
  merger good-again again
  devices_of good-again-content
  merger good-unmerge unmerge
  left good-left

  # Signed by somebody whom nobody here trusts, and not signed at all.
  extension foreign.raw
  merger foreign merge
  merger foreign-report report hello
  merger foreign-unmerge unmerge
  left foreign-left

  # Verity without a trusted signature, which this policy takes.
  POLICY=verity merger verity merge
  devices_of verity-content
  merger verity-report report hello
  merger verity-unmerge unmerge

  # Another image in the place of the one that is merged.
  extension good.raw
  merger swap merge
  extension other.raw
  devices_of swap-before
  merger swap-refresh refresh
  devices_of swap-after
  merger swap-unmerge unmerge
  left swap-left

  # A byte that changes on the disk under the merge.
  extension good.raw
  merger corrupt merge
  devices_of corrupt-before
  corrupt /var/lib/extensions/hello.sysext.raw
  devices_of corrupt-after
  merger corrupt-report report hello
  # The same file again is no better, a good copy of it is.
  merger same refresh
  devices_of same-content
  extension good.raw
  merger mended refresh
  devices_of mended-content
  merger mended-report report hello
  merger mended-unchanged refresh
  merger corrupt-unmerge unmerge
  left corrupt-left

  # Killed at any instant.
  extension good.raw
  for at in 0.1 0.3 0.5 0.7 0.9; do
    /run/merger forever &
    sleep $at
    kill -9 $!
    wait $!
  done
  merger killed again
  devices_of killed-content
  merger killed-unmerge unmerge
  left killed-left

  # By systemd's engine.
  export ENGINE=systemd
  extension good.raw
  merger engine merge
  devices_of engine-content
  merger engine-report report hello
  merger engine-unmerge unmerge
  left engine-left

  # Beside it one whose signer systemd doesn't know: for this one it would merge none.
  cp /payload/foreign.raw /var/lib/extensions/hello_2.sysext.raw
  OWN=/payload/foreign.pem merger engine-own merge
  devices_of engine-own-content
  merger engine-own-report report hello
  merger engine-own-other report hello_2
  merger engine-own-unmerge unmerge
  left engine-own-left
  # Without asking for signatures, systemd is told to ignore them.
  OWN=/payload/foreign.pem POLICY=verity merger engine-aside merge
  merger engine-aside-other report hello_2
  merger engine-aside-unmerge unmerge

  # Another image, signed as well, in the place of the one that was judged.
  extension good.raw
  cp /payload/other.raw /var/lib/extensions/.other
  merger engine-swap swap /var/lib/extensions/.other /var/lib/extensions/hello.sysext.raw
  result engine-swap-status "status=$(systemd-sysext status --json=short | tr -d ' ')"
  left engine-swap-left
}
