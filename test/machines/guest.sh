# guest.sh: what the scripts of these tests have in common. Sourced in the machine.
policy='root=signed+absent:usr=signed+absent'

# trust [CERTIFICATE...]: makes /etc/verity.d hold just these files of the payload.
trust() {
  rm -f /etc/verity.d/*
  for certificate in "$@"; do
    cp "/payload/$certificate" "/etc/verity.d/$(basename "$certificate" .pem).crt"
  done
}

# attempt CASE IMAGE: lets systemd-sysext merge just the image of the payload and
# reports: its status; the content of the extension's file; the number of
# dm-verity devices, and of those whose signature the kernel has checked itself.
attempt() {
  rm -f /var/lib/extensions/*
  cp "/payload/$2" /var/lib/extensions/hello.sysext.raw
  echo "---- $1"
  systemd-sysext --image-policy="$policy" --no-reload merge
  status=$?
  content=none
  if [ -e /usr/share/inlay-test/content ]; then
    content=$(tr ' ' - </usr/share/inlay-test/content)
    cat /usr/share/inlay-test/blob >/dev/null || content=unreadable
  fi
  dmsetup table
  verity=$(dmsetup table --target verity | grep -c verity)
  kernel=$(dmsetup table --target verity | grep -c root_hash_sig_key_desc)
  result "$1" "status=$status content=$content verity=$verity kernel=$kernel"
  systemd-sysext --no-reload unmerge
  ! [ -e /usr/share/inlay-test ] || result "$1" "unmerge=failed"
}
