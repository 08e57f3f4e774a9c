#!/bin/sh
# Runs the arm64 programs, and the golden-format tests built for arm64, under qemu-user.
set -eu
qemu=$(command -v qemu-aarch64-static)
for p in dist/arm64/edge-agent dist/arm64/edge-hub dist/arm64/edgectl; do
	printf '%s: ' "$p"
	"$qemu" "$p" version
done
for pkg in buffer/record buffer/segment internal/wire; do
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o dist/arm64/test "./$pkg"
	(cd "$pkg" && "$qemu" "$OLDPWD/dist/arm64/test" -test.run 'Golden|Vector|Chain' -test.v | grep -E '^(---|ok|PASS|FAIL)')
done
rm -f dist/arm64/test
