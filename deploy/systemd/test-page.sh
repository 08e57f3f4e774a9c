# Part of test.sh: the page and the pipelines of the agent within its unit. The agent runs, and its configuration (test.sh)
# has a page with a token and two pipelines; all parts of the test run with these.
echo "systemd test: page and pipelines"
page() { # the agent's page, as a browser on the box's network has it
	nsenter -t "$leader" -n python3 - <<'P'
import json, sys, urllib.error, urllib.request
def get(path, token=None):
    r = urllib.request.Request('http://127.0.0.1:8480' + path, headers={'Authorization': 'Bearer ' + token} if token else {})
    try:
        with urllib.request.urlopen(r, timeout=20) as a:
            return a.status, a.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
token = '0123456789abcdef'
want = [('/', None, 401, '<form'), ('/v1/status', None, 401, 'token'), ('/v1/status', 'guessed-token', 401, 'token'),
        ('/', token, 200, 'page.mjs'), ('/page.mjs', token, 200, 'fetch'),
        ('/v1/chart?series=cpu.busy&points=10', token, 200, 'cpu.busy')]
for path, t, status, text in want:
    got = get(path, t)
    if got[0] != status or text not in got[1]:
        sys.exit('%s: %d %s, want %d and %r in it' % (path, got[0], got[1][:300], status, text))
s = json.loads(get('/v1/status', token)[1])
if s['device'] != 'box-17':
    sys.exit('status of %r' % s['device'])
P
}
results() { # of a pipeline that is ok, over its restarts
	in_box edgectl pipeline --json | python3 -c "import json, sys
p = {p['name']: p for p in json.load(sys.stdin)['pipelines']}['$1']
print(p['results'] if p['state'] == 'ok' else 0)"
}
computes() { # pipeline, how many results it must have at least
	[ "$(results "$1")" -ge "$2" ]
}
in_log() { in_box edgectl query --stream "$1" --series "$2" --json | grep -q "$3"; }
# What the unit's sandbox refuses reaches the agent as one of these errors.
denied() {
	in_box journalctl -q -u edge-agent -u edge-agent-exp --no-pager |
		grep -iE 'operation not permitted|permission denied|read-only file system|address family not supported|cannot allocate memory'
}
until_true 60 "the page answers, and asks for its token" page
until_true 60 "a pipeline computes windows" computes means 4
in_log rollups cpu.busy.mean '"value"' || fail "the windows are not in the log"
until_true 60 "and another its alarm" in_log alarms memory.available.alarm raised
had=$(results means)
in_box systemctl restart edge-agent || fail "restart"
for f in means full; do
	[ "$(in_box stat -c %U:%a /var/lib/edge-agent/pipelines/$f.state)" = edge-agent:640 ] || fail "the checkpoint of $f: $(in_box ls -l /var/lib/edge-agent/pipelines)"
done
until_true 60 "after a restart the page answers" page
until_true 60 "and the windows go on" computes means $((had + 4))
in_box edgectl faults --json | grep -E '"code": *"P[0-9]' && fail "a fault of a pipeline"
denied && fail "the unit refuses the agent something"
echo "ok: nothing was refused"
