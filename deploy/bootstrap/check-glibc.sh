#!/bin/sh
# Fails if a program needs a glibc symbol newer than 2.28 (Debian 10, openEuler 20.03, Kylin V10).
set -eu
bad=0
for f; do
	[ -f "$f" ] || continue
	newest=$(readelf -W --dyn-syms "$f" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -u -V | tail -n 1)
	case $newest in
	'') if readelf -W -l "$f" | grep -q INTERP; then echo "$f: any glibc"; else echo "$f: static"; fi ;; # edge-npu names no version
	*)
		echo "$f: needs $newest"
		[ "$(printf '%s\nGLIBC_2.28\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.28 ] || bad=1
		;;
	esac
done
exit $bad
