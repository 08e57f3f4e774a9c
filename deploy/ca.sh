#!/bin/sh
# Makes a test CA and certificates for the broker, a hub and devices. For production use your own CA: all that
# Edgelog asks is that a device certificate's common name is the device id, and the hub's is "hub".
#
#   deploy/ca.sh DIR [DEVICE...]          CA, broker (localhost, 127.0.0.1 and $BROKER_NAMES), hub, claim and devices
#
# Existing files are kept, so that a device can be added later. Keys are P-256; DAYS sets the life (default 365).
set -eu
[ $# -ge 1 ] || { sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
dir=$1; shift
days=${DAYS:-365}
umask 077
mkdir -p "$dir"

ssl() { # openssl, whose words are shown only where it fails
	said=$(openssl "$@" 2>&1) || { echo "ca.sh: openssl $1: $said" >&2; exit 1; }
}

if [ ! -f "$dir/ca.crt" ]; then
	ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$days" -sha256 \
		-subj "/CN=Edgelog test CA" -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
		-keyout "$dir/ca.key" -out "$dir/ca.crt"
fi

issue() { # name, common name, extensions
	[ -f "$dir/$1.crt" ] && return 0
	ssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -subj "/CN=$2" \
		-keyout "$dir/$1.key" -out "$dir/$1.csr"
	printf '%b' "$3" >"$dir/$1.ext"
	ssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days "$days" -sha256 \
		-extfile "$dir/$1.ext" -out "$dir/$1.crt"
	rm -f "$dir/$1.csr" "$dir/$1.ext"
}

names="DNS:localhost,IP:127.0.0.1,IP:::1"
for n in ${BROKER_NAMES:-}; do
	case $n in *[!0-9.]*) names="$names,DNS:$n" ;; *) names="$names,IP:$n" ;; esac
done
issue broker broker "subjectAltName=$names\nextendedKeyUsage=serverAuth\n"
issue hub hub "extendedKeyUsage=clientAuth\n"
issue claim enroll "extendedKeyUsage=clientAuth\n" # for boxes that have no certificate yet: docs/updates.md
for device; do
	case $device in ca | broker | hub | claim | enroll | viewer | '' | *[!A-Za-z0-9._:-]*) echo "ca.sh: \"$device\" cannot be a device id" >&2; exit 2 ;; esac
	issue "$device" "$device" "extendedKeyUsage=clientAuth\n"
done
echo "$dir: certificates of the CA, broker (for $names), hub, claim${*:+, }$* (what was there is kept)"
