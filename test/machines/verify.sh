# verify.sh: how the scripts of these tests ask inlay for verdicts, in the machine.
mkdir -p /run/answers

# firmware: makes the firmware's variables visible.
firmware() {
  modprobe efivarfs && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
}

# verdict CASE IMAGE: asks about an image of the payload, trusting the firmware alone.
verdict() {
  echo "---- verdict $1"
  /payload/inlay verify --firmware --json "/payload/$2" >"/run/answers/$1.json"
  echo $? >"/run/answers/$1.status"
}

# keep FOLDER VARIABLE...: hands the firmware's variables to the test, as they are now.
keep() {
  folder=/run/answers/$1
  shift
  mkdir "$folder"
  for variable in "$@"; do
    cat "/sys/firmware/efi/efivars/$variable" >"$folder/$variable"
  done
}

# update VARIABLE FILE: writes a file of the payload, attributes and an update, to a
# variable. The kernel protects it from mistakes by the flag that chattr -i clears.
update() {
  path=/sys/firmware/efi/efivars/$1
  perl -e '$none = pack("L!", 0); open(F, "<", $ARGV[0]) && ioctl(F, 0x40086602, $none) or die "clearing flags: $!\n"' "$path"
  cat "/payload/$2" >"$path"
}

# answer: writes everything to the disk that the test reads afterwards.
answer() {
  for block in /sys/block/vd*; do
    [ "$(cat "$block/serial")" = answers ] && tar -C /run/answers -cf "/dev/${block##*/}" .
  done
  sync
}
