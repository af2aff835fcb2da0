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

# content CASE NAME: how the files of the extension of that name can be read.
content() {
  file=/usr/share/inlay-test/$2
  [ -e "$file/name" ] || { result "$1-$2" "content=none"; return; }
  if cat "$file/name" "$file/blob" >/dev/null 2>&1; then how=readable; else how=unreadable; fi
  result "$1-$2" "content=$how"
}
