#!/bin/sh
# Runs the arm64 programs under qemu-user: versions, an agent that takes readings and is read with edgectl dead and
# alive, a hub that makes its store; and the golden-format tests built for arm64.
set -eu
qemu=$(command -v qemu-aarch64-static)
dir=$(mktemp -d)
agent=''; hub=''
trap 'kill $agent $hub 2>/dev/null || true; rm -rf "$dir"' EXIT
for p in edge-agent edge-hub edgectl edge-updater edge-npu; do
	printf '%s: ' "$p"
	"$qemu" -L /usr/aarch64-linux-gnu "dist/arm64/$p" version # edge-npu loads libraries, and needs the loader of the cross compiler's libc
done
cat >"$dir/agent.yaml" <<Y
device: arm-smoke
data_dir: $dir/data
run_dir: $dir/run
sources:
  - {name: host, driver: system, interval: 500ms}
Y
printf 'embedded_broker: {listen: "127.0.0.1:0"}\nstore: {sqlite: %s/hub.db}\nrun_dir: %s/hub\n' "$dir" "$dir" >"$dir/hub.yaml"
mkdir "$dir/hub"
"$qemu" dist/arm64/edge-agent run --config "$dir/agent.yaml" 2>"$dir/agent.log" & agent=$!
"$qemu" dist/arm64/edge-hub run --config "$dir/hub.yaml" 2>"$dir/hub.log" & hub=$!
ctl() { "$qemu" dist/arm64/edgectl --run-dir "$dir/run" --dir "$dir/data" "$@"; }
readings() { n=$(ctl query --since 10m --series uptime 2>/dev/null | grep -c uptime || true); [ "$n" -gt 3 ]; }
i=0
until readings && grep -q "broker listens" "$dir/hub.log"; do
	i=$((i + 1))
	[ $i -lt 120 ] || { echo "after two minutes the arm64 agent has $n readings; its log and the hub's:"; cat "$dir/agent.log" "$dir/hub.log"; exit 1; }
	sleep 1
done
ctl status || { cat "$dir/agent.log"; exit 1; }
ctl account >/dev/null
kill "$agent" && wait "$agent" || { echo "edge-agent (arm64) did not stop cleanly"; cat "$dir/agent.log"; exit 1; }
agent=''
readings || { echo "the log of the arm64 agent has $n readings"; exit 1; }
kill "$hub" && wait "$hub" || { echo "edge-hub (arm64) did not stop cleanly"; cat "$dir/hub.log"; exit 1; }
hub=''
"$qemu" dist/arm64/edge-hub verify --db "$dir/hub.db"
for pkg in buffer/record buffer/segment internal/wire; do
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/test" "./$pkg"
	echo "$pkg (arm64):"
	(cd "$pkg" && "$qemu" "$dir/test" -test.run 'Golden|Vector|Chain' -test.v) >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }
	grep -E '^(---|ok|PASS|FAIL)' "$dir/out"
done
