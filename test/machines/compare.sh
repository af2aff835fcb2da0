# compare.sh WHO PROGRAM: merges every case's images with PROGRAM, which is
# systemd-sysext or is called so, and reports what can be seen of it. It runs in a
# root of its own, with the payload at /payload.
who=$1 program=$2
signed='--image-policy=root=signed+absent:usr=signed+absent'
verity='--image-policy=root=verity+absent:usr=absent'

result() {
  echo "CASE $1: $2" | tee /dev/ttyS1
}

# place FILE NAME: makes an image of the payload the extension NAME.
place() {
  cp "/payload/$1" "/var/lib/extensions/$2.tmp"
  mv "/var/lib/extensions/$2.tmp" "/var/lib/extensions/$2"
}

devices() {
  cat /sys/block/dm-*/dm/uuid 2>/dev/null | grep -c CRYPT-VERITY
}

# word: the text without blanks, times and numbers of devices.
word() {
  tr -d ' \n\t' | sed 's/"since":[0-9]*/"since":N/g; s/"time":[0-9]*/"time":N/g'
}

# look CASE EXIT: reports what is merged, how, and what can be read of it.
look() {
  content=none
  if [ -e /usr/share/inlay-test ]; then
    content=$(cd /usr/share/inlay-test && cat content blob 2>/dev/null | sha256sum | cut -c 1-16)
    cat /usr/share/inlay-test/blob >/dev/null 2>&1 || content=unreadable
  fi
  hashes=$(sed -n 's/.*"verityHash" *: *"\([0-9a-f]*\)".*/\1/p' /usr/.systemd-sysext/origin 2>/dev/null | sort | tr '\n' ',')
  how=$(sed -n 's|.* / /usr \([^ ]*\) .* - \(overlay\) \(sysext\) .*|\1,\2,\3|p' /proc/self/mountinfo)
  result "$who-$1" "exit=$2 verity=$(devices) content=$content merged=$(tr '\n' , </usr/.systemd-sysext/extensions 2>/dev/null) \
status=$($program status --json=short | word) list=$($program list --json=short | word) how=$how hashes=$hashes"
}

# prepare CERTIFICATES: begins anew.
prepare() {
  rm -rf /var/lib/extensions /etc/verity.d
  mkdir -p /var/lib/extensions /etc/verity.d
  for c in $1; do cp "/payload/$c.pem" "/etc/verity.d/$c.crt"; done
}

# finish CASE: unmerges, and reports what is left.
finish() {
  $program unmerge
  status=$?
  for _ in $(seq 50); do
    [ "$(devices)" != 0 ] || break
    sleep 0.1
  done
  result "$who-$1-left" "exit=$status verity=$(devices) merged=$(ls -A /usr | grep -c systemd-sysext)"
}

# try CASE CERTIFICATES OPTIONS IMAGE...: merges images of the payload, each the
# extension of its name, and unmerges them.
try() {
  name=$1 options=$3
  echo "---- $who $name"
  prepare "$2"
  shift 3
  for image; do place "$image.raw" "${image#*-}.raw"; done
  $program $options merge
  look "$name" $?
  finish "$name"
}

try signed signer "$signed" good-hello
try signed-default signer '' good-hello
try repart signer "$signed" repart-hello
try squashfs signer "$signed" squashfs-hello
try two signer "$signed" good-hello second-world
try writable signer "$signed --mutable=ephemeral" good-hello
try nobody-known '' "$signed" good-hello
try foreign signer "$signed" foreign-hello
try foreign-beside signer "$signed" foreign-hello second-world
try foreign-default signer '' foreign-hello
try foreign-verity signer "$verity" foreign-hello
try unsigned signer "$signed" unsigned-hello
try unsigned-default signer '' unsigned-hello
try unsigned-verity '' "$verity" unsigned-hello
try nobody-default '' '' unsigned-hello
try changed-data signer "$signed" data-hello
try changed-tree signer "$signed" tree-hello
try changed-signature signer "$signed" signature-hello
try bare signer "$signed" bare-hello

# Again and again: the same, a copy of the same, and another image.
echo "---- $who refresh"
prepare signer
place good-hello.raw hello.raw
$program $signed merge
$program $signed refresh 2>/run/said
look refresh-same "$?-$(grep -c '^Skipping' /run/said)"
place good-hello.raw hello.raw
$program $signed refresh 2>/run/said
look refresh-copy "$?-$(grep -c '^Skipping' /run/said)"
place repart-hello.raw hello.raw
$program $signed refresh 2>/run/said
look refresh-other "$?-$(grep -c '^Skipping' /run/said)"
finish refresh
