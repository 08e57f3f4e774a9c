#!/bin/sh
# Boots a real Debian systemd in a container (systemd-nspawn) with the shipped units, users and directories and looks
# whether agent and hub start, report ready, stop cleanly, and are restarted by the watchdog when they hang.
# Needs root. Usage: test.sh BINDIR (ONLY=page: agent, page and pipelines; ONLY=npu: and the NPU worker; ONLY=units: the measure of the units; ONLY=updates: releases; ONLY=people: damage, users, clock)
set -eu
bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
deploy=$(dirname "$here")
command -v systemd-analyze >/dev/null || { echo "systemd test: systemd-analyze is missing (Debian: systemd)" >&2; exit 1; }
# What an attacker in a unit can reach, by systemd's own measure (lower is better). What is left of the agent's is said in
# its unit file.
for gate in edge-agent:15 edge-agent-exp:15 edge-updater:13 edge-update:13 edge-rescue:13 edge-npu:7 edge-npu-exp:7; do
	systemd-analyze security --offline=true --threshold="${gate##*:}" "$here/${gate%%:*}.service" >/dev/null 2>&1 ||
		{ systemd-analyze security --offline=true "$here/${gate%%:*}.service"; echo "FAIL: ${gate%%:*}.service is open wider than ${gate##*:}"; exit 1; }
done
echo "ok: units are closed as far as they were"
# A candidate's unit is its stable unit but for what makes it a candidate.
for pair in edge-agent edge-npu; do
	body() { sed -e '1,/^\[Service\]/d' -e '/^\[Install\]/,$d' -e '/^#/d' -e '/^Exec/d' -e '/^Restart/d' -e '/^RuntimeMaxSec/d' -e '/^$/d' "$1"; }
	[ "$(body "$here/$pair.service")" = "$(body "$here/$pair-exp.service")" ] || { echo "FAIL: $pair-exp.service is another than $pair.service"; exit 1; }
done
echo "ok: candidates run in the sandbox of their stable units"
[ "${ONLY:-}" != units ] || exit 0
[ "$(id -u)" = 0 ] || { echo "systemd test: needs root" >&2; exit 1; }
for p in systemd-nspawn:systemd-container mmdebstrap:mmdebstrap; do
	command -v "${p%%:*}" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${p##*:}" >/dev/null; }
done
# Two containers at once would be in one another's control groups, where these are of version 1: the second waits.
exec 9<"$(command -v systemd-nspawn)"
flock -n 9 || { echo "systemd test: another one runs; waiting for its end"; flock 9; }
root=$(mktemp -d /var/tmp/edgelog-systemd.XXXXXX)
chmod 755 "$root"
leader=''
finish() {
	if [ -n "$leader" ]; then
		in_box systemctl poweroff >/dev/null 2>&1 || true
		i=0; while kill -0 "$leader" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.2; i=$((i + 1)); done
		kill -9 "$leader" "$nspawn" 2>/dev/null || true
	fi
	rm -rf "$root" "$root.log"
}
trap finish EXIT
trap 'exit 1' INT TERM
in_box() { nsenter -t "$leader" -m -u -i -n -p -- "$@"; }
fail() {
	echo "FAIL: $*"
	in_box journalctl -u edge-agent -u edge-agent-exp -u edge-hub -u edge-npu -u edge-npu-exp -u edge-update -u edge-updater -n 60 --no-pager || true
	exit 1
}
until_true() { # seconds, what, command
	n=$1; what=$2; shift 2
	while ! "$@" >/dev/null 2>&1; do
		n=$((n - 1)); [ $n -gt 0 ] || fail "$what"
		sleep 1
	done
	echo "ok: $what"
}

echo "systemd test: making a Debian root in $root"
sources=/etc/apt/sources.list.d/debian.sources
[ -f $sources ] || sources=/etc/apt/sources.list
# The root of today is kept for the next run.
kept=${XDG_CACHE_HOME:-$HOME/.cache}/edgelog/debian-$(date +%F).tar
if [ ! -f "$kept" ]; then
	mkdir -p "${kept%/*}"
	rm -f "${kept%/*}"/debian-*.tar
	mmdebstrap -q --format=tar --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$kept.$$" $sources
	mv "$kept.$$" "$kept"
fi
tar -C "$root" --numeric-owner -xpf "$kept"
install -m 755 "$bin/edge-agent" "$bin/edge-hub" "$bin/edgectl" "$bin/edge-updater" "$root/usr/bin/"
install -D -m 755 "$here/edge-release" "$root/usr/lib/edge-agent/edge-release"
install -D -m 644 "$here/edgelog.sysusers" "$root/usr/lib/sysusers.d/edgelog.conf"
install -m 644 "$here/edge-agent.service" "$here/edge-hub.service" "$here/edge-agent-exp.service" \
	"$here/edge-npu-exp.service" "$here/edge-updater.service" "$here/edge-rescue.service" "$here/edge-update.service" "$here/edge-update.path" "$root/etc/systemd/system/"
mkdir -p "$root/etc/edge-agent" "$root/etc/edge-hub" "$root/etc/systemd/system/edge-agent.service.d"
printf '[Service]\nWatchdogSec=6\n' >"$root/etc/systemd/system/edge-agent.service.d/test.conf"
cat >"$root/etc/edge-hub/hub.yaml" <<'Y'
embedded_broker:
  listen: 127.0.0.1:1883
Y
cat >"$root/etc/edge-agent/agent.yaml" <<'Y'
device: box-17
streams:
  rollups: {max_bytes: 16MiB}
pipelines:
  - {name: means, from: {series: cpu.busy}, window: {size: 3s, late: 1s, compute: [mean, count]}, stream: rollups}
  - {name: full, from: {series: memory.available}, alarm: {above: 0, severity: info}}
sources:
  - name: host
    driver: system
    interval: 1s
uplink:
  mqtt:
    broker: tcp://127.0.0.1:1883
control:
  http: {address: ":8480", allow_remote: true, token_file: /etc/edge-agent/page-token}
Y
boot() {
	systemd-nspawn -q -D "$root" --boot --private-network --register=no --keep-unit >"$root.log" 2>&1 9>&- &
	nspawn=$!
	leader=''; i=0
	while [ -z "$leader" ] && [ $i -lt 100 ]; do
		sleep 0.2; i=$((i + 1))
		leader=$(pgrep -P $nspawn -f 'lib/systemd/systemd' || true)
	done
	[ -n "$leader" ] || { cat "$root.log"; echo "FAIL: no systemd in the container"; exit 1; }
	until_true 60 "systemd is up" in_box systemctl is-active multi-user.target
	in_box ip link set lo up 2>/dev/null || true
}
boot
in_box systemd-sysusers || fail "sysusers"
in_box sh -c 'echo 0123456789abcdef | install -m 640 -g edge-agent /dev/stdin /etc/edge-agent/page-token' || fail "token of the page"
in_box systemctl start edge-hub || fail "edge-hub does not start"
in_box systemctl start edge-agent || fail "edge-agent does not start"
echo "ok: both units are started and ready (Type=notify)"
in_box stat -c %U /proc/"$(in_box systemctl show -p MainPID --value edge-agent)" | grep -qx edge-agent || fail "edge-agent does not run as its user"
echo "ok: the agent runs as edge-agent"
for d in /var/lib/edge-agent /run/edge-agent; do
	[ "$(in_box stat -c %U $d)" = edge-agent ] || fail "$d does not belong to edge-agent"
done
for s in view:edge-view control:edge-ops ingest:edge-ingest; do
	[ "$(in_box stat -c %a /run/edge-agent/"${s%%:*}".sock)" = 660 ] || fail "socket ${s%%:*}.sock has another mode"
	# Its list names the group (tag 8), whatever else: user and group of the agent, then that one.
	gid=$(in_box getent group "${s##*:}" | cut -d: -f3)
	python3 -c "import os, struct, sys
a = os.getxattr('/proc/$leader/root/run/edge-agent/${s%%:*}.sock', 'system.posix_acl_access')[4:]
sys.exit((8, 6, $gid) not in [struct.unpack('<HHI', a[i:i + 8]) for i in range(0, len(a), 8)])" || fail "group ${s##*:} may not use socket ${s%%:*}.sock"
done
echo "ok: directories and sockets have their owners, sockets their groups"
until_true 30 "the hub has committed the agent's records" sh -c "nsenter -t $leader -m -u -i -n -p -- edge-hub status --config /etc/edge-hub/hub.yaml --json | grep -q box-17"
in_box edgectl status || [ $? = 3 ] || fail "edgectl status"
in_box systemctl status edge-agent --no-pager -n 0 | grep Status: || fail "systemd was told no status"
in_box systemctl reload edge-agent || fail "reload"
before=$(in_box systemctl show -p NRestarts --value edge-agent)
in_box sh -c "kill -STOP $(in_box systemctl show -p MainPID --value edge-agent)"
until_true 40 "a hung agent was restarted by the watchdog" sh -c "[ \"\$(nsenter -t $leader -m -u -i -n -p -- systemctl show -p NRestarts --value edge-agent)\" -gt $before ]"
until_true 20 "it is active again" in_box systemctl is-active edge-agent
. "$here/test-page.sh"
[ "${ONLY:-}" != page ] || exit 0
in_box systemctl stop edge-agent edge-hub || fail "stop"
[ "$(in_box systemctl show -p Result --value edge-agent)" = success ] || fail "edge-agent did not stop cleanly"
[ "$(in_box systemctl show -p Result --value edge-hub)" = success ] || fail "edge-hub did not stop cleanly"
echo "ok: both stop cleanly"
case ${ONLY:-} in updates | people) ;; *) . "$here/test-npu.sh" ;; esac
[ "${ONLY:-}" != npu ] || exit 0

# --- updates: a release that is well, one that ends at once, one that hangs, one that is killed in probation ---------
echo "systemd test: releases"
fleet=$root/fleet
mkdir -p "$fleet" "$root/keys"
for k in root targets agent models releases snapshot timestamp; do "$bin/edgectl" keys new "$root/keys/$k" >/dev/null; done
cat >"$fleet/roles.yaml" <<'Y'
roles:
  root: {keys: [../keys/root.pub]}
  targets: {keys: [../keys/targets.pub]}
  snapshot: {keys: [../keys/snapshot.pub]}
  timestamp: {keys: [../keys/timestamp.pub]}
  agent: {keys: [../keys/agent.pub], paths: ["agent/*"]}
  models: {keys: [../keys/models.pub], paths: ["models/*"]}
  releases: {keys: [../keys/releases.pub], paths: ["releases/*"]}
Y
ctl() { "$bin/edgectl" release "$@" >/dev/null || fail "edgectl release $*"; }
ctl prepare "$fleet"
ctl sign "$fleet/metadata/1.root.json" --key "$root/keys/root.key"
ctl sign "$fleet/metadata/targets.json" --key "$root/keys/targets.key"
counter=0
soak=5
release() { # name, file that is its edge-agent, checks, model
	counter=$((counter + 1))
	rm -rf "$root/tree"; mkdir -p "$root/tree/bin"
	install -m 755 "$2" "$root/tree/bin/edge-agent"
	[ "$2" = "$bin/edge-agent" ] || install -m 755 "$bin/edge-agent" "$root/tree/bin/real"
	tar -C "$root/tree" -c . | zstd -q -1 >"$root/agent.tar.zst"
	ctl add "$fleet" "$root/agent.tar.zst=agent/$1.tar.zst"
	model=''; roles='agent releases'
	if [ -n "${4:-}" ]; then
		ctl add "$fleet" "$4=models/$1.om"
		model=$(printf '{"name":"model/load","kind":"model","version":"%s","path":"models/%s.om","order":30},' "$1" "$1"); roles="$roles models"
	fi
	printf '{"schema":1,"release":"%s","counter":%d,"created":"2026-11-28T00:00:00Z","probation":{"soak_s":%d,"deadline_s":%d,"checks":[%s]},"components":[%s{"name":"agent","kind":"agent","version":"%s","path":"agent/%s.tar.zst","order":90}]}' \
		"$1" $counter $soak $((soak + 55)) "${3:-\"ingest\"}" "$model" "$1" "$1" >"$root/draft.json"
	ctl freeze "$fleet" "$root/draft.json"
	for r in $roles; do ctl sign "$fleet/metadata/$r.json" --key "$root/keys/$r.key"; done
	ctl publish "$fleet" --snapshot "$root/keys/snapshot.key" --timestamp "$root/keys/timestamp.key"
}
command -v zstd >/dev/null || apt-get install -y -qq zstd >/dev/null
cp "$fleet/metadata/1.root.json" "$root/etc/edge-agent/root.json"
install -m 644 "$here/edge-agent-release.conf" "$root/etc/systemd/system/edge-agent.service.d/release.conf"
mkdir -p "$root/etc/systemd/system/edge-agent-exp.service.d"
printf '[Service]\nTimeoutStartSec=10\nWatchdogSec=6\n' >"$root/etc/systemd/system/edge-agent-exp.service.d/test.conf"
in_box systemctl daemon-reload
in_box systemctl start edge-hub edge-agent || fail "start with the drop-in of releases"
agent_exe() { in_box readlink /proc/"$(in_box systemctl show -p MainPID --value "$1")"/exe; }
on_stable() { # release
	until_true 60 "edge-agent is active ($1)" in_box systemctl is-active edge-agent
	[ "$(in_box readlink /opt/edge/stable)" = "releases/$1" ] || fail "stable is $(in_box readlink /opt/edge/stable), want $1"
	[ ! -e "$root/opt/edge/candidate" ] || fail "a candidate link is left"
	in_box systemctl is-active edge-agent-exp >/dev/null && fail "the candidate still runs"
	case $(agent_exe edge-agent.service) in /opt/edge/store/*/bin/edge-agent) ;; *) fail "stable runs $(agent_exe edge-agent.service)" ;; esac
}
[ "${ONLY:-}" != people ] || { . "$here/test-updates.sh"; exit 0; }
release 1.0 "$bin/edge-agent"
in_box edge-updater apply --from /fleet || fail "a release that is well was not kept"
on_stable 1.0
echo "ok: a release is in force, and the agent runs from it"
says() { in_box edgectl update "$1" | grep -q "$2"; }
until_true 30 "edgectl update names the release in force" says show 'RELEASE   1.0 '
in_box edgectl update hold --why test >/dev/null || fail "hold"
release 1.05 "$bin/edge-agent"
in_box edge-updater apply --from /fleet && fail "a held box was updated"
until_true 30 "explain names the hold" says explain 'held by'
in_box edgectl update unhold >/dev/null || fail "unhold"
in_box edge-updater apply --from /fleet &
apply=$!
until_true 30 "a release is in probation" in_box systemctl is-active edge-agent-exp
in_box edgectl update abort --why test >/dev/null || fail "abort"
wait $apply && fail "an aborted release was kept"
until_true 30 "history says who aborted" says history 'aborted by'
on_stable 1.0
echo "ok: hold, explain, abort, history"
printf '#!/bin/sh\nexit 1\n' >"$root/bad"
release 1.1 "$root/bad"
in_box edge-updater apply --from /fleet && fail "a release that ends at once was kept"
on_stable 1.0
printf '#!/bin/sh\nexec sleep 1000\n' >"$root/bad"
release 1.2 "$root/bad"
in_box edge-updater apply --from /fleet && fail "a release that hangs was kept"
on_stable 1.0
echo "ok: releases that crash and hang end on stable"
release 1.3 "$bin/edge-agent"
in_box edge-updater apply --from /fleet &
apply=$!
until_true 30 "the candidate is in probation" in_box systemctl is-active edge-agent-exp
in_box sh -c 'kill -9 $(pidof edge-updater)'
wait $apply || true
in_box sh -c "kill -9 $(in_box systemctl show -p MainPID --value edge-agent-exp)"
until_true 30 "stable runs again without any updater" in_box systemctl is-active edge-agent
in_box systemctl start edge-updater || fail "edge-updater.service"
on_stable 1.3
echo "ok: updater and candidate killed in probation: stable at once, and the update completed on its second attempt"
in_box systemctl stop edge-agent
corrupt() { in_box sh -c 'f=$(readlink -f /opt/edge/stable/agent/bin/edge-agent); cp $f /tmp/x; echo x >>/tmp/x; cp /tmp/x $f'; }
corrupt
in_box systemctl start edge-rescue || fail "edge-rescue.service"
on_stable 1.0
echo "ok: a damaged release gives way to the one before it"
. "$here/test-updates.sh"
