#!/bin/sh
# Makes the signatures of programs anew, with the keys of generate.sh; README.md
# says with which tools.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=/usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi

# What they sign: the program's digest, as efitools reckons it.
hash-to-efi-sig-list "$program" "$work/list" | sed 's/.*HASH IS //' | tr -d '\n' >program.sha256

take() { sbattach --detach "$1.p7" "$work/$1.efi"; } # NAME
sbsign --key rsa.key --cert rsa.pem --output "$work/program-sbsign.efi" "$program"
take program-sbsign
/usr/lib/systemd/systemd-sbsign sign --private-key=rsa.key --certificate=rsa.pem \
	--output="$work/program-systemd.efi" "$program"
take program-systemd
sign() { # NAME SIGNER OPTIONS...
	name=$1 signer=$2
	shift 2
	osslsigncode sign -certs "$signer.pem" -key "$signer.key" -in "$program" -out "$work/$name.efi" "$@"
	take "$name"
}
sign program-osslsigncode rsa -h sha256
sign program-chain rsa -h sha256 -ac p256.pem
sign program-sha384 rsa4096 -h sha384
sign program-p256 p256 -h sha256
sign program-description rsa -h sha256 -n 'a program' -i https://example.org/
sign program-pages rsa -h sha256 -ph
# As Microsoft's: with a time stamp, which is an unsigned attribute.
openssl req -x509 -newkey rsa:2048 -noenc -keyout "$work/tsa.key" -out "$work/tsa.pem" -days 36500 \
	-subj '/CN=test time' -addext extendedKeyUsage=critical,timeStamping
sign program-timestamp rsa -h sha256 -TSA-certs "$work/tsa.pem" -TSA-key "$work/tsa.key"
sign bad-program-sha1 rsa -h sha1
chmod 644 ./*.p7 program.sha256
