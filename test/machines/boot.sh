# boot.sh: how the scripts of these tests look at what a boot has done. Sourced in
# the machine, after verify.sh.

# told CASE COMMAND...: keeps what a command prints, and its status, for the test.
told() {
  name=$1
  shift
  "$@" >"/run/answers/$name" 2>"/run/answers/$name.err"
  echo $? >"/run/answers/$name.status"
}

# looked CASE: all that can be seen of the boot step and of what was merged.
looked() {
  told "$1-report" inlay boot report --json
  told "$1-log" cat /run/immucore/inlay.log
  for kind in sysext confext; do
    told "$1-$kind" inlay "$kind" status --json
    told "$1-systemd-$kind" "systemd-$kind" status --json=short
  done
  told "$1-verity" dmsetup table --target verity
  told "$1-origin" cat /usr/.systemd-sysext/origin
  told "$1-linked" ls /run/extensions /run/confexts
}

# readable CASE NAME...: how the files of the extensions of these names can be read.
readable() {
  name=$1
  shift
  for extension; do
    folder=/usr/share/inlay-test/$extension
    if ! [ -e "$folder" ]; then
      how=none
    elif cat "$folder/name" "$folder/blob" >/dev/null 2>&1; then
      how=readable
    else
      how=unreadable
    fi
    result "$name-$extension" "content=$how"
  done
}

# corrupted NAME: changes a byte of the large file in the store's image of that name,
# and forgets what was read of it.
corrupted() {
  image=/var/lib/kairos/extensions/$1.sysext.raw
  at=$(grep -abo 'data of the extension' "$image" | sed -n '9000{s/:.*//;p}')
  printf X | dd of="$image" bs=1 seek="$at" conv=notrunc status=none
  echo 3 >/proc/sys/vm/drop_caches
}

# by_unit KIND: what systemd's service for a kind is told to do, by the settings
# that inlay has placed for trusted boots.
by_unit() {
  $(sed -n "s/^ExecStart=\(systemd\)/\1/p" "/usr/lib/systemd/system/systemd-$1.service.d/50-inlay.conf") --no-reload
}

# plant SYSEXT CONFEXT: puts into each folder in which systemd looks for extensions a
# folder, an image that is no more than a file system, and one that has a good one's
# name; and what systemd would lay over all of them where it may be written to.
plant() {
  for folder in /etc/extensions /run/extensions /var/lib/extensions /usr/local/lib/extensions /usr/lib/extensions; do
    mkdir -p "$folder/planted-folder/usr/lib/extension-release.d" "$folder/planted-folder/usr/share/inlay-test/planted-folder"
    echo ID=_any >"$folder/planted-folder/usr/lib/extension-release.d/extension-release.planted-folder"
    echo planted | tee "$folder/planted-folder/usr/share/inlay-test/planted-folder/name" >"$folder/planted-folder/usr/share/inlay-test/planted-folder/blob"
    cp /payload/planted.sysext.raw "$folder"
    cp /payload/twin.sysext.raw "$folder/$1.sysext.raw"
  done
  for folder in /run/confexts /var/lib/confexts /usr/local/lib/confexts /usr/lib/confexts; do
    mkdir -p "$folder/planted-folder/etc/extension-release.d" "$folder/planted-folder/etc/inlay-test/planted-folder"
    echo ID=_any >"$folder/planted-folder/etc/extension-release.d/extension-release.planted-folder"
    cp /payload/planted.confext.raw "$folder"
    cp /payload/twin.confext.raw "$folder/$2.confext.raw"
  done
  mkdir -p /var/lib/extensions.mutable/usr/share/inlay-test/planted-upper
}

# planted CASE SYSEXT CONFEXT: what of all that can be seen, and of the good ones.
planted() {
  seen=
  for name in planted planted-folder planted-upper "$2/twin"; do
    [ ! -e "/usr/share/inlay-test/$name" ] || seen=$seen/usr:$name,
  done
  for name in planted planted-folder "$3/twin"; do
    [ ! -e "/etc/inlay-test/$name" ] || seen=$seen/etc:$name,
  done
  result "$1" "seen=$seen sysext=$(cat "/usr/share/inlay-test/$2/name") confext=$(cat "/etc/inlay-test/$3/name")"
}

# open_folders CASE: which of the folders that plant filled show anything.
open_folders() {
  found=
  for folder in /etc/extensions /var/lib/extensions /usr/local/lib/extensions /usr/lib/extensions \
    /var/lib/confexts /usr/local/lib/confexts /usr/lib/confexts /etc/verity.d /usr/local/lib/verity.d /usr/lib/verity.d; do
    [ -z "$(ls -A "$folder" 2>/dev/null)" ] || found=$found$folder,
  done
  result "$1" "open=$found"
}

# cleared: waits until the kernel has cleared up after an unmerge.
cleared() {
  for _ in $(seq 100); do
    dmsetup ls --target verity | grep -q verity || return
    sleep 0.1
  done
  dmsetup info -c
  losetup -a
}

# booted: the entry that the boot loader has started.
booted() {
  cat /sys/firmware/efi/efivars/LoaderEntrySelected-* | tail -c +5 | tr -d '\0'
}

# earlier: takes up what an earlier boot of the machine has left for the test.
earlier() {
  tar -C /run/answers -xf "$(disk answers)"
}

# next ENTRY: leaves the answers so far, and starts the machine anew by that entry.
next() {
  answer
  perl -e 'print pack("V v*", 7, map(ord, split(//, $ARGV[0])), 0)' "$1" \
    >/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
  sync
  echo b >/proc/sysrq-trigger
  sleep 30
}
