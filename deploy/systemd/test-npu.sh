# Part of test.sh: the unit of the NPU worker, on the stand-in libraries. The agent and the hub are stopped before and after.
echo "systemd test: the NPU worker"
[ -f "$bin/standin/libascendcl.so" ] || fail "make standin first"
install -m 755 "$bin/edge-npu" "$root/usr/bin/"
install -m 644 "$here/edge-npu.service" "$root/etc/systemd/system/"
install -D -m 644 -t "$root/opt/standin" "$bin"/standin/*
mkdir -p "$root/etc/systemd/system/edge-npu.service.d"
printf '[Service]\nEnvironment=STANDIN_CONTROL=/run/edge-npu/faults\nReadWritePaths=/srv/pictures\n' >"$root/etc/systemd/system/edge-npu.service.d/test.conf"
cp "$root/etc/edge-agent/agent.yaml" "$root/agent.yaml.before"
cat >>"$root/etc/edge-agent/agent.yaml" <<'Y'
  producers:
    edge-npu: {stream: events}
npu: {}
Y
cat >"$root/etc/edge-agent/npu.yaml" <<'Y'
acl: /opt/standin/libascendcl.so
dcmi: /opt/standin/libdcmi.so
monitor: 1s
models:
  - name: load
    path: /opt/standin/window.om
    version: "1"
    output: {kind: anomaly, labels: [cpu, memory], threshold: 4, chart: true}
  - name: colours
    path: /opt/standin/colours.om
    output: {kind: classification, labels: [red, green, blue]}
files:
  - {dir: /srv/pictures, model: colours}
windows:
  - {name: load, model: load, series: [cpu.busy, memory.available], length: 32, every: 1s}
Y
in_box install -d -m 2770 -g edge-npu /srv/pictures
in_box systemctl daemon-reload
in_box systemctl start edge-agent edge-npu || fail "edge-npu does not start"
npu() { in_box edgectl npu --json; }
npu_says() { npu | grep -q "$1"; }
main_pid() { in_box systemctl show -p MainPID --value edge-npu; }
until_true 60 "edge-npu has its model" npu_says '"state": *"ready"'
in_box stat -c %U "/proc/$(main_pid)" | grep -qx edge-npu || fail "edge-npu does not run as its user"
[ "$(in_box readlink "/proc/$(main_pid)/ns/net")" != "$(in_box readlink /proc/1/ns/net)" ] || fail "edge-npu has the network of the box"
until_true 30 "edgectl status has its line, and says that it is simulated" sh -c "nsenter -t $leader -m -u -i -n -p -- edgectl status | grep -q '^NPU .*SIMULATED 1 chip ok'"
until_true 120 "it scores the box's own series" sh -c "nsenter -t $leader -m -u -i -n -p -- edgectl query --stream events --series npu.score --json | grep -q npu.score"
in_box sh -c 'head -c 3072 /dev/zero >/srv/pictures/a.part && mv /srv/pictures/a.part /srv/pictures/a.bin' # a tensor
until_true 30 "a file of a watched directory is worked on and put away" in_box test -f /srv/pictures/done/a.bin
in_box edgectl tail events -n 200 | grep -q 'colours.*a.bin' || fail "its result is not in the log"
sed -i 's/version: "1"/version: "2"/' "$root/etc/edge-agent/npu.yaml"
in_box systemctl reload edge-npu || fail "reload"
until_true 30 "a reload changes the model" npu_says '"version": *"2"'
before=$(in_box systemctl show -p NRestarts --value edge-npu)
in_box sh -c "kill -9 $(main_pid)"
until_true 60 "killed, it is started again" sh -c "[ \"\$(nsenter -t $leader -m -u -i -n -p -- systemctl show -p NRestarts --value edge-npu)\" -gt $before ]"
until_true 60 "and has its model again" npu_says '"state": *"ready"'
before=$(in_box systemctl show -p NRestarts --value edge-npu)
agent=$(in_box systemctl show -p MainPID --value edge-agent)
in_box sh -c 'echo "on task 1 return 507010" >/run/edge-npu/faults'
until_true 60 "a lost device costs the worker a restart" sh -c "[ \"\$(nsenter -t $leader -m -u -i -n -p -- systemctl show -p NRestarts --value edge-npu)\" -gt $before ]"
in_box rm -f /run/edge-npu/faults
until_true 60 "after which it works" npu_says '"state": *"ready"'
[ "$(in_box systemctl show -p MainPID --value edge-agent)" = "$agent" ] || fail "the agent went down with the worker"
until_true 30 "and the agent declares why" sh -c "nsenter -t $leader -m -u -i -n -p -- edgectl faults | grep -q 507010"
in_box systemctl restart edge-agent || fail "restart of the agent"
in_box systemctl is-active edge-npu >/dev/null || fail "the worker went down with the agent"
durable() { npu | grep -o '"durable": *[0-9]*' | grep -o '[0-9]*$'; }
was=$(durable)
grew() { [ "$(durable)" -gt "$was" ]; }
until_true 60 "the worker outlives the agent, which takes its results again" grew
in_box systemctl stop edge-npu edge-agent || fail "stop"
[ "$(in_box systemctl show -p Result --value edge-npu)" = success ] || fail "edge-npu did not stop cleanly"
cp "$root/agent.yaml.before" "$root/etc/edge-agent/agent.yaml"
echo "ok: edge-npu stops cleanly"
