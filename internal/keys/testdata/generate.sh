#!/bin/sh
# Makes the files of this folder anew; see README.md.
set -eu
cd "$(dirname "$0")"
for bits in 1024 2048 8192; do
	openssl req -x509 -newkey "rsa:$bits" -noenc -subj "/CN=test $bits" -days 36500 -keyout "rsa$bits.key" -out "rsa$bits.pem"
done
openssl pkcs8 -topk8 -in rsa2048.key -passout pass:secret -out encrypted.key
openssl rsa -traditional -aes128 -in rsa2048.key -passout pass:secret -out encrypted-pkcs1.key
rm rsa1024.key rsa2048.key
