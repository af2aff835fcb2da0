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

# plant: puts into each folder in which systemd looks for extensions a folder, an
# image that is no more than a file system, and one that has a good one's name.
plant() {
  for folder in /etc/extensions /run/extensions /var/lib/extensions /usr/local/lib/extensions /usr/lib/extensions; do
    mkdir -p "$folder/planted-folder/usr/lib/extension-release.d" "$folder/planted-folder/usr/share/inlay-test/planted-folder"
    echo ID=_any >"$folder/planted-folder/usr/lib/extension-release.d/extension-release.planted-folder"
    echo planted | tee "$folder/planted-folder/usr/share/inlay-test/planted-folder/name" >"$folder/planted-folder/usr/share/inlay-test/planted-folder/blob"
    cp /payload/planted.raw "$folder/planted.sysext.raw"
    cp /payload/planted.raw "$folder/$1.sysext.raw"
  done
  for folder in /run/confexts /var/lib/confexts /usr/local/lib/confexts /usr/lib/confexts; do
    mkdir -p "$folder/planted-folder/etc/extension-release.d"
    echo ID=_any >"$folder/planted-folder/etc/extension-release.d/extension-release.planted-folder"
    echo planted >"$folder/planted-folder/etc/inlay-planted"
  done
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
