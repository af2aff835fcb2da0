#!/bin/sh
# Makes the vectors of this folder anew; README.md says with which tools, and
# what CLOCK is.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
owner=6f0ab0f6-14fb-4dcc-b4d1-46c4f0b64f2c
time='2020-01-15 12:34:56'

for name in PK KEK db; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/$name.key" -out "$work/$name.pem" \
    -subj "/CN=inlay test $name" -days 36500 2>/dev/null
  openssl x509 -in "$work/$name.pem" -outform der -out "$name.der"
  cert-to-efi-sig-list -g $owner "$work/$name.pem" "$work/$name.esl"
done
cat "$work/KEK.esl" "$work/PK.esl" >two.esl
sbsiglist --owner $owner --type x509 --output db.esl db.der
head -c 32 db.der >"$work/hash"
sbsiglist --owner $owner --type sha256 --output sha256.esl "$work/hash"
hello=/usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi
hash-to-efi-sig-list $hello $hello pe.esl

cert-to-efi-hash-list -g $owner "$work/db.pem" always.esl
for size in 256 384 512; do
  cert-to-efi-hash-list -g $owner -t "$time" -s $size "$work/db.pem" x509_sha$size.esl
done

efitools() { sign-efi-sig-list -g $owner -k "$work/KEK.key" -c "$work/KEK.pem" -t "$time" "$@"; }
sbsigntool() { sbvarsign --key "$work/KEK.key" --cert "$work/KEK.pem" "$@"; }
efitools db db.esl efitools.auth
efitools -a dbx x509_sha256.esl append.auth
efitools db /dev/null delete.auth
sbsigntool --output sbsigntool.auth db db.esl
sbsigntool --include-attrs --output attributes.auth db db.esl
LD_PRELOAD=${CLOCK:?} sbsigntool --output january.auth db db.esl

virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.fd --output "$work/vars.fd" --output-json store.json --secure-boot \
  --set-pk $owner "$work/PK.pem" --add-kek $owner "$work/KEK.pem" --add-kek $owner "$work/PK.pem" \
  --add-db $owner "$work/db.pem" --add-db-hash $owner "$(printf %064d 7)" --set-dbx append.auth
chmod 644 -- *
chmod 755 generate.sh
