#!/bin/sh
# Runs the tests of the bindings as arm64 programs under qemu-user, with stand-in libraries built for arm64: layouts,
# calling convention, callbacks from foreign threads.
set -eu
qemu=$(command -v qemu-aarch64-static)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOARCH='' go run ./internal/bench/npubench -arch arm64 -build "$dir/lib"
export STANDIN_ACL="$dir/lib/libascendcl.so" STANDIN_DCMI="$dir/lib/libdcmi.so" STANDIN_QEMU="$qemu" QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
for pkg in acl dcmi; do
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/$pkg.test" "./ascend/$pkg"
	echo "ascend/$pkg (arm64):"
	(cd "ascend/$pkg" && "$qemu" "$dir/$pkg.test" -test.timeout 5m -test.v) >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }
	grep -E '^(---|ok|PASS|FAIL)' "$dir/out"
done
