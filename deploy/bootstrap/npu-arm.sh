#!/bin/sh
# Runs the tests of the bindings as arm64 programs under qemu-user, with stand-in libraries built for arm64: layouts,
# calling convention, callbacks from foreign threads.
set -eu
qemu=$(command -v qemu-aarch64-static)
dir=$(mktemp -d)
worker=''
trap 'kill $worker 2>/dev/null || true; rm -rf "$dir"' EXIT
GOARCH='' go run ./internal/bench/npubench -arch arm64 -build "$dir/lib"
export STANDIN_ACL="$dir/lib/libascendcl.so" STANDIN_DCMI="$dir/lib/libdcmi.so" STANDIN_QEMU="$qemu" QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
for pkg in acl dcmi; do
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/$pkg.test" "./ascend/$pkg"
	echo "ascend/$pkg (arm64):"
	(cd "ascend/$pkg" && "$qemu" "$dir/$pkg.test" -test.timeout 5m -test.v) >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }
	grep -E '^(---|ok|PASS|FAIL)' "$dir/out"
done
# The worker itself as an arm64 program: it starts, refuses a wrong configuration, goes through the checklist on the
# stand-in (which it never certifies: exit 3), and runs a model beside no agent at all until it is told to end.
GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -trimpath -o "$dir/edge-npu" ./cmd/edge-npu
run() { "$qemu" "$dir/edge-npu" "$@"; }
run version
cat >"$dir/npu.yaml" <<Y
state_dir: $dir/state
run_dir: $dir/run
agent_run_dir: $dir/agent
acl: $dir/lib/libascendcl.so
dcmi: $dir/lib/libdcmi.so
models:
  - {name: colours, path: $dir/lib/colours.om, output: {kind: classification}, batch: {max: 4}}
Y
printf 'modles: []\n' >"$dir/bad.yaml"
run check --config "$dir/bad.yaml" 2>/dev/null && { echo "a wrong configuration passed"; exit 1; }
run check --config "$dir/npu.yaml"
run doctor --config "$dir/npu.yaml" >"$dir/report" && { echo "a stand-in was certified"; exit 1; }
for want in 'ok    initialise' 'ok    copy 1 MiB there and back' 'ok    model colours ' 'ok    model colours pictures' 'ok    finalise' 'stand-in'; do
	grep -q "$want" "$dir/report" || { echo "the report of the doctor lacks: $want"; cat "$dir/report"; exit 1; }
done
"$qemu" "$dir/edge-npu" run --config "$dir/npu.yaml" 2>"$dir/worker.log" & worker=$! # not through run: it would be a shell
i=0
while ! [ -S "$dir/run/npu.sock" ] && [ $i -lt 120 ]; do sleep 0.5; i=$((i + 1)); done
[ -S "$dir/run/npu.sock" ] || { echo "edge-npu (arm64) has no socket"; cat "$dir/worker.log"; exit 1; }
kill "$worker"
wait "$worker" || { echo "edge-npu (arm64) did not stop cleanly"; cat "$dir/worker.log"; exit 1; }
worker=''
echo "edge-npu (arm64): check, doctor, run"
