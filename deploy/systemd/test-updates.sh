# Part of test.sh: releases that come over the broker, through edge-update.path, to a box that is as it is shipped: with the
# hub beside it handing them out, the NPU worker on its stand-in, and users who may look, order, or nothing.
echo "systemd test: releases over the broker"
in_box systemctl stop edge-agent edge-hub
rm -rf "$root/opt/edge" "$root/var/lib/edge-updater" "$root/var/lib/edge-agent/update"
cat >>"$root/etc/edge-hub/hub.yaml" <<'Y'
fleet: {releases: /fleet, settle: 2s}
Y
cat >>"$root/etc/edge-agent/agent.yaml" <<'Y'
  producers:
    edge-npu: {stream: events}
update: {progress: 1s}
npu: {}
Y
cat >"$root/etc/edge-agent/npu.yaml" <<'Y'
acl: /opt/standin/libascendcl.so
dcmi: /opt/standin/libdcmi.so
models:
  - name: load
    path: release:model/load
    output: {kind: anomaly, labels: [cpu, memory], threshold: 4, chart: true}
Y
install -m 755 "$bin/edge-npu" "$root/usr/bin/"
install -m 644 "$here/edge-npu.service" "$root/etc/systemd/system/"
install -D -m 644 -t "$root/opt/standin" "$bin"/standin/*
rm -rf "$root/etc/systemd/system/edge-npu.service.d"
install -D -m 644 "$here/edge-npu-release.conf" "$root/etc/systemd/system/edge-npu.service.d/release.conf"
mkdir -p "$root/etc/systemd/system/edge-update.service.d"
in_box systemctl daemon-reload
in_box systemctl enable -q edge-hub edge-agent edge-npu edge-updater edge-update.path || fail "enable"
in_box systemctl start edge-hub edge-agent edge-npu edge-update.path || fail "start with updates over the broker"

squeezed=/sys/fs/cgroup/memory/edgelog-test-$$
rollouts=0
rollout() { in_box edge-hub rollout "$@" --config /etc/edge-hub/hub.yaml; }
desire() { # release
	rollouts=$((rollouts + 1))
	printf 'release: "%s"\nwaves: [{name: all, percent: 100}]\n' "$1" >"$root/rollout.yaml"
	until_true 60 "the hub knows the box" sh -c "nsenter -t $leader -m -u -i -n -p -- edge-hub rollout list --json --config /etc/edge-hub/hub.yaml | grep -q '\"online\": *1'"
	rollout create /rollout.yaml --yes >/dev/null || fail "rollout of $1"
}
ended() { in_box edge-hub rollout show "R-$rollouts" --json --config /etc/edge-hub/hub.yaml | tr -d ' \n' | grep -q "\"device\":\"box-17\",[^}]*\"state\":\"$1\""; }
reported() { until_true 180 "the hub was told: $1" ended "$1"; }
# How the last candidate ended, as history has it.
exit_was() { in_box edge-updater status --json | tr -d '\n' | grep -q "\"exit\": *\"[^\"]*$1"; }
stable() { [ "$(in_box readlink /opt/edge/stable)" = "releases/$1" ] && [ ! -e "$root/opt/edge/candidate" ]; }
model() { in_box edgectl npu --json | tr -d ' \n' | grep -q "\"sha256\":\"$(sha256sum "$1" | cut -c1-16)[0-9a-f]*\",\"state\":\"ready\""; }
worker_is() { in_box systemctl is-active "$1" && model "$2"; }
in_probation() { in_box systemctl is-active edge-agent-exp; }
was_state() { in_box edge-updater status --json | grep -q "\"state\": *\"$1\""; }
account() { in_box edgectl account --json; }

# Two models that differ: what the stand-in calls the network's window.
cp "$bin/standin/window.om" "$root/one.om"
cp "$bin/standin/colours.om" "$root/two.om"
soak=5
release 2.0 "$bin/edge-agent" '"ingest","acks","npu"' "$root/one.om"
desire 2.0
until_true 180 "a release came over the broker, the path unit started edge-updater, and it is in force" stable 2.0
reported COMMITTED
on_stable 2.0
until_true 60 "the worker has the model of the release" worker_is edge-npu "$root/one.om"
release 2.1 "$bin/edge-agent" '"ingest","acks","npu"' "$root/two.om"
desire 2.1
until_true 180 "the next one, with another model, is in force" stable 2.1
reported COMMITTED
until_true 60 "and its model is at work" worker_is edge-npu "$root/two.om"

bad() { # release, what, edge-agent, model
	release "$1" "$3" '"ingest","acks","npu"' "${4:-$root/two.om}"
	desire "$1"
	reported "${5:-ROLLED_BACK}"
	on_stable "${6:-2.1}"
	until_true 90 "$2: stable runs with its model, and the hub was told" worker_is edge-npu "$root/two.om"
}
now=$(in_box readlink /opt/edge/stable)
if [ "${ONLY:-}" != people ]; then
printf '#!/bin/sh\nexit 1\n' >"$root/bad"
bad 2.2 "crashes at once" "$root/bad"
printf '#!/bin/sh\nexec sleep 1000\n' >"$root/bad"
bad 2.3 "never gets ready" "$root/bad"
# It says that it is ready, and then nothing in it moves any more.
printf '#!/bin/sh\n(sleep 4; kill -STOP $$) &\nexec "$(dirname "$0")/real" "$@"\n' >"$root/bad"
soak=40 bad 2.4 "deadlocks once it is ready" "$root/bad"
exit_was Result=watchdog || fail "the deadlock was not noticed by the watchdog: $(in_box edge-updater status --json | grep '"exit"')"
# The candidate may have no more memory, and the kernel ends it. Where containers have no memory controller (version 1 of
# control groups), the host's does it.
squeeze() {
	pid=$(in_box systemctl show -p MainPID --value edge-agent-exp)
	if [ -d /sys/fs/cgroup/memory ]; then
		for p in $(pgrep -f 'edge-agent run' || true); do
			if grep -qs "^NSpid:.*[[:space:]]$pid\$" "/proc/$p/status" && [ "$(readlink "/proc/$p/ns/pid")" = "$(readlink "/proc/$leader/ns/pid")" ]; then
				mkdir -p "$squeezed" && echo 4096 >"$squeezed/memory.limit_in_bytes" && echo "$p" >"$squeezed/cgroup.procs"
				return
			fi
		done
		fail "process $pid of the container was not found"
	fi
	in_box systemctl set-property --runtime edge-agent-exp MemoryMax=4K
}
soak=40
release 2.5 "$bin/edge-agent" '"ingest","acks","npu"' "$root/two.om"
desire 2.5
until_true 120 "release 2.5 is in probation" in_probation
before=$(dmesg 2>/dev/null | grep -c 'Killed process .*edge-agent' || true)
squeeze
# It needs some for its answers.
i=0; while in_box systemctl is-active -q edge-agent-exp && [ $i -lt 30 ]; do in_box edgectl tail -n 1000 telemetry >/dev/null 2>&1 || true; i=$((i + 1)); done
reported ROLLED_BACK
on_stable 2.1
until_true 90 "is killed for memory: stable runs with its model, and the hub was told" worker_is edge-npu "$root/two.om"
exit_was Result=oom-kill || { exit_was 'ExecMainStatus=9' && [ "$(dmesg | grep -c 'Killed process .*edge-agent')" -gt "$before" ]; } ||
	fail "not ended for memory: $(in_box edge-updater status --json | grep '"exit"')"
rmdir "$squeezed" 2>/dev/null || true
soak=5
head -c 500 "$bin/standin/window.om" >"$root/broken.om"
bad 2.6 "a model that its runtime refuses" "$bin/edge-agent" "$root/broken.om"
in_box edgectl update history | grep -q 'npu: model/load' || fail "history does not name the model"

# The candidate ends in the middle of its probation, with nobody there to help: the agent and the worker of stable start at once.
soak=45
release 2.7 "$bin/edge-agent" '"ingest","acks","npu"' "$root/one.om"
desire 2.7
until_true 120 "release 2.7 is in probation" in_probation
until_true 60 "with its model" worker_is edge-npu-exp "$root/one.om"
in_box sh -c 'p=$(pidof edge-updater); mv /usr/bin/edge-updater /usr/bin/edge-updater.away; kill -9 $p'
in_box sh -c "kill -9 $(in_box systemctl show -p MainPID --value edge-agent-exp)"
until_true 30 "stable's agent runs again without any updater" in_box systemctl is-active edge-agent
until_true 60 "and stable's model" worker_is edge-npu "$root/two.om"
in_box systemctl is-active edge-npu-exp >/dev/null && fail "the candidate's worker outlives its agent"
in_box mv /usr/bin/edge-updater.away /usr/bin/edge-updater # systemd has tried it again and again
reported COMMITTED
on_stable 2.7
until_true 60 "the second attempt is in force, with its model" worker_is edge-npu "$root/one.om"

# The updater alone is killed, twice: systemd has its work finished.
release 2.75 "$bin/edge-agent" '"ingest","acks","npu"' "$root/one.om"
desire 2.75
until_true 120 "release 2.75 is in probation" in_probation
in_box sh -c 'kill -9 $(pidof edge-updater)'
until_true 60 "another updater is at work" in_box pidof edge-updater
sleep 1
in_box sh -c 'kill -9 $(pidof edge-updater)' || true
reported '\(COMMITTED\|ROLLED_BACK\)'
until_true 60 "no candidate is left" sh -c "! nsenter -t $leader -m -u -i -n -p -- systemctl is-active edge-agent-exp"
now=$(in_box readlink /opt/edge/stable)
if ended COMMITTED; then [ "$now" = releases/2.75 ] || fail "reported COMMITTED, and $now is in force"; else [ "$now" = releases/2.7 ] || fail "reported ROLLED_BACK, and $now is in force"; fi
echo "ok: killed updaters leave a release that is whole, and a true report ($now)"

# Stable was there after the start, if only until the second attempt began.
ready_again() { in_box journalctl -b -q -u edge-agent | grep -q msg=ready; }
# The power is cut in probation.
release 2.8 "$bin/edge-agent" '"ingest","acks","npu"' "$root/two.om"
desire 2.8
until_true 120 "release 2.8 is in probation" in_probation
kill -9 "$leader"
i=0; while kill -0 "$nspawn" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.2; i=$((i + 1)); done
boot
until_true 60 "after the power cut stable runs" ready_again
at=$(in_box readlink /opt/edge/stable)
[ "$at" = "$now" ] || [ "$at" = releases/2.8 ] || fail "after the power cut stable is $at"
until_true 180 "and the update is completed on its second attempt" stable 2.8
reported COMMITTED
on_stable 2.8
until_true 60 "with its model" worker_is edge-npu "$root/two.om"

# The same with an orderly reboot.
release 2.9 "$bin/edge-agent" '"ingest","acks","npu"' "$root/one.om"
desire 2.9
until_true 120 "release 2.9 is in probation" in_probation
now=$(in_box readlink /opt/edge/stable)
in_box systemctl poweroff || true
i=0; while kill -0 "$nspawn" 2>/dev/null && [ $i -lt 300 ]; do sleep 0.2; i=$((i + 1)); done
kill -0 "$nspawn" 2>/dev/null && fail "the machine does not go down"
boot
until_true 60 "after a reboot stable runs" ready_again
until_true 180 "and the update is completed on its second attempt" stable 2.9
reported COMMITTED
on_stable 2.9
fi

# Months later a file of stable is damaged, and the agent cannot start any more: nobody but systemd is there.
in_box sh -c 'f=$(readlink -f /opt/edge/stable/agent/bin/edge-agent); head -c 4000 $f >/tmp/x; chmod 755 /tmp/x; cp -p --remove-destination /tmp/x $f'
in_box systemctl kill -s KILL edge-agent
before=$(in_box readlink /opt/edge/previous)
until_true 240 "a stable release that is damaged gives way to the one before it, by itself" stable "${before#releases/}"
on_stable "${before#releases/}"

# Who may do what.
in_box systemd-sysusers - <<'Y' || fail "users of the test"
u someone - "nobody in particular"
u viewer - "may look"
u operator - "may order"
m viewer edge-view
m operator edge-view
m operator edge-ops
Y
as() { # user, command
	u=$1; shift
	in_box setpriv --reuid "$u" --regid "$u" --init-groups "$@"
}
for u in someone viewer; do
	code=0; as $u edgectl update abort --why test >"$root/said" 2>&1 || code=$?
	[ $code != 0 ] && grep -qi 'permission' "$root/said" || fail "$u may abort ($code): $(cat "$root/said")"
	until_true 10 "what $u tried is in the journal" sh -c "nsenter -t $leader -m -u -i -n -p -- journalctl -t edgectl --no-pager | grep -q 'refused.*$u.*EPERM'"
done
as viewer edgectl update show >/dev/null || [ $? = 3 ] || fail "viewer may not look"
as someone edgectl update show >/dev/null 2>&1 && fail "someone may look"
as operator edgectl update hold --why test >/dev/null || fail "operator may not order"
as operator edgectl update unhold >/dev/null || fail "operator may not order"
pid=$(in_box systemctl show -p MainPID --value edge-agent)
python3 - "/proc/$leader/root/run/edge-agent/control.sock" <<'P' || fail "garbage on control.sock"
import os, socket, sys
def say(data):
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
    try:
        s.sendall(data); s.shutdown(socket.SHUT_WR)
        return s.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        return b''
    finally:
        s.close()
for junk in (os.urandom(4096), b'\0' * 100000, b'POST /v1/update HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{{{',
             b'POST /v1/update HTTP/1.1\r\nHost: a\r\nX: ' + b'y' * 200000 + b'\r\n\r\n',
             b'POST /v1/update HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n' + b'{"op":"abort","why":"' + b'z' * 3000000):
    got = say(junk)
    if got and not got.startswith(b'HTTP/1.1 4'):
        sys.exit('answered: %r' % got[:200])
P
[ "$(in_box systemctl show -p MainPID --value edge-agent)" = "$pid" ] || fail "garbage on control.sock restarted the agent"
in_box edgectl update show >/dev/null || [ $? = 3 ] || fail "after garbage nobody is answered"
echo "ok: users without the group are refused and noted, garbage on control.sock is dropped"

# The clock's state without asking the kernel.
in_box sh -c 'mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized'
until_true 90 "the agent knows by systemd-timesyncd's stamp that the clock is synchronised" sh -c "nsenter -t $leader -m -u -i -n -p -- edgectl status --json | tr -d ' \\n' | grep -q '\"synchronised\":true'"

# Thermometers as the kernel's sysfs shows them, in a directory of the same files: the agent may read them, and nothing else.
install -m 755 "$bin/edge-w1sim" "$root/usr/bin/"
in_box systemd-run -q --unit=w1sim edge-w1sim --dir /srv/w1 --sensors 3 || fail "edge-w1sim"
sed -i 's|^uplink:|  - {name: roof, driver: w1, interval: 1s, w1: {root: /srv/w1}}\nuplink:|' "$root/etc/edge-agent/agent.yaml"
in_box systemctl reload edge-agent || fail "reload with thermometers"
three() { [ "$(in_box edgectl sensors | grep -c '28-.*°C')" = 3 ]; }
until_true 90 "the agent reads 1-Wire thermometers from sysfs" three

until_true 60 "everything is delivered" sh -c "nsenter -t $leader -m -u -i -n -p -- edgectl account >/dev/null"
in_box systemctl stop edge-npu edge-agent edge-hub || fail "stop"
in_box edge-hub verify --config /etc/edge-hub/hub.yaml || fail "edge-hub verify"
echo "ok: the hub has everything once"
