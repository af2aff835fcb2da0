#!/bin/sh
# Makes the vectors of this folder anew; see README.md.
set -eu
cd "$(dirname "$0")"

# A root hash as systemd signs it: 64 hexadecimal digits, no newline.
printf %s 8f1cd8a29f2e9b0b1f5a64a1f0a3d6cbb5b9a2ed1c0b4f25ad0c7b7e0a6b3c11 >content

# Keys and certificates.
new() { # NAME SUBJECT DIGEST KEY-OPTIONS...
	name=$1 subject=$2 digest=$3
	shift 3
	openssl genpkey -quiet "$@" -out "$name.key"
	openssl req -new -x509 -key "$name.key" -subj "$subject" -"$digest" -days 36500 -utf8 -out "$name.pem"
}
new rsa '/C=DE/O=Möwe & Söhne/CN=test-db' sha256 -algorithm RSA -pkeyopt rsa_keygen_bits:2048
new rsa4096 '/CN=test 4096' sha256 -algorithm RSA -pkeyopt rsa_keygen_bits:4096
new rsa1024 '/CN=test 1024' sha256 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
new p256 '/CN=test P-256' sha256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
new p384 '/CN=test P-384' sha384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384

# What systemd writes, and what Sign must write.
smime() { # NAME SIGNER OPTIONS...
	name=$1 signer=$2
	shift 2
	openssl smime -sign -binary -outform der -in content -signer "$signer.pem" -inkey "$signer.key" -out "$name.p7s" "$@"
}
for signer in rsa rsa4096 p256 p384; do
	smime "$signer" "$signer" -noattr -md sha256
done

# Other spellings that are good.
smime good-nocerts rsa -noattr -md sha256 -nocerts
smime good-nocerts-p256 p256 -noattr -md sha256 -nocerts
smime good-chain rsa -noattr -md sha256 -certfile p256.pem
smime good-sha384 p384 -noattr -md sha384
smime good-sha512 rsa -noattr -md sha512
cms() { # NAME SIGNER OPTIONS...
	name=$1 signer=$2
	shift 2
	openssl cms -sign -binary -outform der -in content -signer "$signer.pem" -inkey "$signer.key" -out "$name.p7s" "$@"
}
cms good-cms-rsa rsa -noattr -md sha256
cms good-cms-p256 p256 -noattr -md sha256

# What must be refused.
smime bad-attributes rsa -md sha256
smime bad-attached rsa -noattr -md sha256 -nodetach
smime bad-sha1 rsa -noattr -md sha1
smime bad-sha224 rsa -noattr -md sha224
smime bad-two-signers rsa -noattr -md sha256 -signer p256.pem -inkey p256.key
smime bad-weak-key rsa1024 -noattr -md sha256
cms bad-keyid rsa -noattr -md sha256 -keyid
cms bad-pss rsa -noattr -md sha256 -keyopt rsa_padding_mode:pss
cms bad-indefinite rsa -noattr -md sha256 -nodetach -stream
openssl smime -sign -noattr -binary -outform pem -in content -signer rsa.pem -inkey rsa.key -out bad-pem.p7s
openssl smime -sign -noattr -binary -in content -signer rsa.pem -inkey rsa.key -out bad-smime.p7s
rm rsa1024.key # nothing signs with it again
