#!/bin/sh
# Checks for what Edgelog's make targets need from the system and installs what is missing from Debian or Ubuntu
# packages; says what before it does. Usage: setup.sh build|test|arm|mcu|stores|updates|page
# Without root (and without sudo that asks no password) it installs nothing: it names the packages and exits 1.
set -eu
need=''
want() { # program package
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || need="$need $2"
}

command -v go >/dev/null 2>&1 || {
	echo "setup: Go 1.25 or newer is needed and not on the PATH. Debian: apt install golang-go (backports), or https://go.dev/dl" >&2
	exit 1
}
case ${1:-build} in
build) want cc gcc; want cc libc6-dev ;;
test) want cc gcc; want cc libc6-dev; want mosquitto mosquitto; want openssl openssl; want sqlite3 sqlite3; want python3 python3
	want owserver owserver; want owread ow-shell; want digitemp_DS9097 digitemp; want mbpoll mbpoll; want zsh zsh; want fish fish # shells of the completions
	[ -f /usr/include/modbus/modbus.h ] || need="$need libmodbus-dev" ;;
arm)
	want aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu; want aarch64-linux-gnu-gcc libc6-dev-arm64-cross
	want arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf; want arm-linux-gnueabihf-gcc libc6-dev-armhf-cross
	want qemu-aarch64-static qemu-user-static; want readelf binutils
	;;
mcu) # firmware of the nodes, its simulators and the independent programs that speak with them
	want sdcc sdcc; want s51 sdcc-ucsim; want avr-gcc gcc-avr; want avr-objcopy binutils-avr; want arm-none-eabi-gcc gcc-arm-none-eabi
	want qemu-system-arm qemu-system-arm; want avrdude avrdude; want mbpoll mbpoll; want gcc gcc; want gcc libc6-dev
	[ -f /usr/lib/avr/include/avr/io.h ] || need="$need avr-libc"
	[ -f /usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot/optiboot.c ] || need="$need arduino-core-avr"
	ldconfig -p | grep -q 'libsimavr\.so\.2' || need="$need libsimavr2"
	want stm32flash stm32flash; want python3 python3
	python3 -c 'import ensurepip' 2>/dev/null || need="$need python3-venv"
	;;
stores) # servers for make test-stores; Kafka itself comes from Maven Central, kafka-python from PyPI
	want cc gcc; want java openjdk-17-jre-headless; want javac openjdk-17-jdk-headless; want mvn maven; want kcat kcat; want python3 python3; want protoc protobuf-compiler
	python3 -c 'import venv, ensurepip' 2>/dev/null || need="$need python3-venv"
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need="$need postgresql" ;;
updates) # web servers that boxes fetch content from, what deltas are compared with, the measure of the units
	want systemd-analyze systemd; want nginx nginx; want apache2 apache2-bin; want zstd zstd; want xdelta3 xdelta3; want bsdiff bsdiff ;;
page) want chromium chromium ;; # the browser that the box's web page is looked at with
*) echo "setup: unknown set \"$1\"" >&2; exit 2 ;;
esac
# Programs of the Python index that nodes are tested against, in an environment of their own.
mcu_python() {
	[ "$1" = mcu ] || return 0
	env=${EDGE_MCU_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/edgelog/mcu-venv}
	pins='stcgal==1.10 smpclient==7.3.0 smp==4.2.0 pymodbus==3.16.1 pyserial==3.5'
	[ "$(cat "$env/pins" 2>/dev/null)" = "$pins" ] && return 0
	echo "setup: installing $pins into $env (pip)"
	log=$(mktemp)
	# shellcheck disable=SC2086 # a list
	if ! { rm -rf "$env" && python3 -m venv "$env" && "$env/bin/pip" --disable-pip-version-check -q install $pins && echo "$pins" >"$env/pins"; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		echo "setup: could not install $pins" >&2
		exit 1
	fi
	rm -f "$log"
}
[ -n "$need" ] || { mcu_python "${1:-build}"; exit 0; }

run=''
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then run='sudo -n'; else
		echo "setup: missing packages:$need (as root: apt-get install$need)" >&2
		exit 1
	fi
fi
command -v apt-get >/dev/null 2>&1 || { echo "setup: this is not Debian or Ubuntu; please install:$need" >&2; exit 1; }
echo "setup: installing$need (apt-get)"
log=$(mktemp)
if ! { $run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $need; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	rm -f "$log"
	echo "setup: could not install$need" >&2
	exit 1
fi
rm -f "$log"
# Tests start their own brokers and databases; the packaged services must not hold the ports.
case $need in *postgresql*) $run systemctl disable --now postgresql >/dev/null 2>&1 || true ;; esac
case $need in *nginx*) $run systemctl disable --now nginx >/dev/null 2>&1 || $run service nginx stop >/dev/null 2>&1 || true ;; esac
case $need in *mosquitto*) $run systemctl disable --now mosquitto >/dev/null 2>&1 || true ;; esac
mcu_python "${1:-build}"
