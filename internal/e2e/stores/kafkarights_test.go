package stores

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// rights is a broker whose access lists say what the hub's user may do, and an administrator of it.
type rights struct {
	k     *servers.Kafka
	adm   *kadm.Client
	o     kafka.Options // of the hub's user
	round int
}

func newRights(t *testing.T) *rights {
	t.Helper()
	dir := t.TempDir()
	ca, keystore := writeCert(t, dir)
	// The last setting lets a test write records that the coordinator does not know of.
	k, err := servers.StartSecureKafka(servers.Secure{Keystore: keystore, User: "hub", Password: "a secret", Authorizer: true},
		"transaction.partition.verification.enable=false")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers()...), kgo.MetadataMinAge(10*time.Millisecond)) // lists of topics are cached for as long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &rights{k: k, adm: kadm.NewClient(c), o: kafka.Options{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", k.Nodes[0].SecurePort)}, Shards: 1, Partitions: 1,
		TransactionTimeout: 5 * time.Second, TLS: &kafka.TLS{CAFile: ca}, SASL: &kafka.SASL{Mechanism: "PLAIN", User: "hub", SecretFile: password}}}
}

var aclLine = regexp.MustCompile(`(?m)^\$acl ([^#\n]*)`)

// grant gives the user what docs/stores.md says, with the command that stands there.
func (r *rights) grant(t *testing.T) {
	t.Helper()
	doc, err := os.ReadFile("../../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := aclLine.FindAllSubmatch(doc, -1)
	if len(lines) < 4 {
		t.Fatalf("docs/stores.md shows %d commands that give rights", len(lines))
	}
	for _, l := range lines {
		args := append([]string{"--bootstrap-server", r.k.Brokers()[0], "--add", "--allow-principal", "User:hub"}, strings.Fields(string(l[1]))...)
		if out, err := r.k.Java("128m", "org.apache.kafka.tools.AclCommand", args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", l[1], err, out)
		}
	}
}

// all lists what is granted.
func (r *rights) all(t *testing.T) []kadm.DescribedACL {
	t.Helper()
	b := kadm.NewACLs().AnyResource().Allow("User:hub").AllowHosts().Operations(kmsg.ACLOperationAny).ResourcePatternType(kadm.ACLPatternAny)
	res, err := r.adm.DescribeACLs(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	var out []kadm.DescribedACL
	for _, x := range res {
		if x.Err != nil {
			t.Fatal(x.Err)
		}
		out = append(out, x.Described...)
	}
	return out
}

func aclName(a kadm.DescribedACL) string {
	return fmt.Sprintf("%v on %v %s", a.Operation, a.Type, a.Name)
}

// builder is one right, for the administrator's calls.
func builder(a kadm.DescribedACL) *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow("User:hub").AllowHosts("*").Operations(a.Operation).ResourcePatternType(a.Pattern)
	switch a.Type {
	case kmsg.ACLResourceTypeTopic:
		return b.Topics(a.Name)
	case kmsg.ACLResourceTypeTransactionalId:
		return b.TransactionalIDs(a.Name)
	case kmsg.ACLResourceTypeCluster:
		return b.Clusters()
	}
	return b
}

func (r *rights) take(t *testing.T, a kadm.DescribedACL) {
	t.Helper()
	res, err := r.adm.DeleteACLs(t.Context(), builder(a))
	if err != nil || len(res) != 1 || res[0].Err != nil || len(res[0].Deleted) != 1 {
		t.Fatalf("take %s: %+v, %v", aclName(a), res, err)
	}
	r.await(t, a, false)
}

func (r *rights) give(t *testing.T, a kadm.DescribedACL) {
	t.Helper()
	res, err := r.adm.CreateACLs(t.Context(), builder(a))
	if err != nil || len(res) != 1 || res[0].Err != nil {
		t.Fatalf("give %s: %+v, %v", aclName(a), res, err)
	}
	r.await(t, a, true)
}

// await waits until the broker's own list has a right, or has it no more.
func (r *rights) await(t *testing.T, a kadm.DescribedACL, there bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		found := false
		for _, x := range r.all(t) {
			found = found || aclName(x) == aclName(a)
		}
		if found == there {
			return
		}
	}
	t.Fatalf("the broker does not take over a change of %s", aclName(a))
}

// empty removes the hub's topics, so that the next hub makes them.
func (r *rights) empty(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		time.Sleep(50 * time.Millisecond)
		m, err := r.adm.ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, n := range m.Names() {
			if strings.HasPrefix(n, "edge") {
				names = append(names, n)
			}
		}
		if len(names) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v do not go", names)
		}
		if _, err := r.adm.DeleteTopics(t.Context(), names...); err != nil { // each may be gone already
			t.Fatal(err)
		}
	}
}

// work is what a hub does: rows, a gap, a dead letter, a lease, reading all of it back, an account. topics of an earlier
// call are gone.
func (r *rights) work(t *testing.T) error {
	t.Helper()
	r.empty(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := kafka.Open(ctx, r.o)
	if err != nil {
		return err
	}
	defer s.Close()
	r.round++
	d := newDevice(r.round)
	c := d.change(5)
	d.next, d.known = 5, true
	gap := d.change(2)
	gap.Rows, gap.RowBase, gap.Definitions = nil, gap.From, nil
	gap.Gaps = []record.Gap{{Epoch: d.epoch, Range: record.Range{From: gap.From, To: gap.To}, Reason: record.ReasonErased, ChainFrom: gap.FromChain, ChainTo: gap.ToChain}}
	d.next = gap.To
	dead := d.change(1)
	dead.Definitions = nil
	dead.Skips = []store.Skip{{Range: record.Range{From: dead.From, To: dead.To}, Reason: "dead-letter"}}
	dead.DeadLetters = []store.DeadLetter{{Offset: dead.From, Reason: "too long", Canonical: []byte("x")}}
	res, err := s.Commit(ctx, []store.Change{c, gap, dead})
	if err != nil {
		return err
	}
	for i, x := range res {
		if !x.Applied {
			t.Errorf("change %d: %+v", i, x)
		}
	}
	lease := store.Lease{Name: "shard/0/1", Owner: "a", Number: 1, TTL: time.Second}
	if now, ok, err := s.SwapLease(ctx, store.Lease{}, lease); err != nil || !ok {
		return fmt.Errorf("swap lease (%v, %v): %w", now, ok, cmp.Or(err, errors.New("it was not swapped")))
	}
	if v, err := s.Verify(ctx, nil); err != nil || len(v.Faults) > 0 {
		return fmt.Errorf("verify (%v): %w", v.Faults, cmp.Or(err, errors.New("faults")))
	}
	accounts, err := s.Accounts(ctx)
	if err == nil && (len(accounts) != 1 || accounts[0].Rows != 5) {
		t.Errorf("accounts %+v", accounts)
	}
	return err
}

// TestKafkaRights runs a hub whose user has what docs/stores.md lists, and nothing else, at Kafka's own authorizer. Each
// right but those of the checks and the repair is needed: without it the hub is refused and says so.
func TestKafkaRights(t *testing.T) {
	t.Parallel() // after those that kill servers; it mostly waits for programs to start
	r := newRights(t)
	if err := r.work(t); !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "Write on edge-offsets") {
		t.Errorf("without any right: %v", err)
	}
	r.grant(t)
	if err := r.work(t); err != nil {
		t.Fatalf("with the rights of docs/stores.md: %v", err)
	}
	spare := map[string]bool{"CLUSTER_ACTION on CLUSTER kafka-cluster": true, "READ on TOPIC __transaction_state": true}
	for _, a := range r.all(t) {
		r.take(t, a)
		err := r.work(t)
		refused := errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
		switch optional := spare[aclName(a)] || a.Operation == kmsg.ACLOperationDescribeConfigs; {
		case optional && err != nil:
			t.Errorf("without %s: %v", aclName(a), err)
		case !optional && refused && !strings.Contains(err.Error(), "lacks the right"):
			t.Errorf("without %s the hub does not say what it lacks: %v", aclName(a), err)
		case !optional && !refused:
			t.Errorf("without %s the hub is not refused (%v): docs/stores.md lists a right that is not needed", aclName(a), err)
		case !optional:
			t.Logf("without %s: %v", aclName(a), err)
		}
		r.give(t, a)
	}
	t.Run("repair", func(t *testing.T) { testRepairRights(t, r) })
}

// testRepairRights leaves transactions open that the coordinator takes for ended, as KAFKA-20734 does, and has a hub end
// them: with all rights, and without those of the repair, one by one.
func testRepairRights(t *testing.T, r *rights) {
	if err := r.work(t); err != nil {
		t.Fatal(err)
	}
	var cluster, log kadm.DescribedACL
	for _, a := range r.all(t) {
		switch {
		case a.Type == kmsg.ACLResourceTypeCluster:
			cluster = a
		case a.Name == "__transaction_state":
			log = a
		}
	}
	hub := func() (*kafka.Store, *device, error) {
		s := openKafka(t, r.o)
		d := newDevice(r.round + 50)
		r.round++
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Commit(ctx, []store.Change{d.change(3)})
		return s, d, err
	}
	committed := 0
	for _, commit := range []bool{true, false} {
		r.leave(t, commit)
		if commit {
			committed++
		}
		s, _, err := hub()
		if n := s.Health().Mended; err != nil || n != 1 {
			t.Errorf("commit %v: the hub mended %d: %v", commit, n, err)
		}
		s.Close()
		if n := r.left(t); n != committed {
			t.Errorf("commit %v: kcat sees %d of the records left open, want %d", commit, n, committed)
		}
	}
	r.leave(t, true)
	r.take(t, cluster)
	s, _, err := hub()
	if !errors.Is(err, kafka.ErrHanging) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "lacks the right ClusterAction") {
		t.Errorf("without %s: %v", aclName(cluster), err)
	}
	if e := s.Health().Error; !strings.Contains(e, "ClusterAction") {
		t.Errorf("the hub's status says %q", e)
	}
	r.give(t, cluster)
	d := newDevice(r.round + 50)
	r.round++
	if _, err := s.Commit(t.Context(), []store.Change{d.change(3)}); err != nil || s.Health().Mended != 1 { // the hub goes on as it is
		t.Errorf("after the right was given: %v, %+v", err, s.Health())
	}
	s.Close()
	// How it ended stands in the coordinator's log, and in its memory while that was the id's latest transaction.
	r.take(t, log)
	r.leave(t, true)
	if s, _, err = hub(); err != nil || s.Health().Mended != 1 {
		t.Errorf("without %s: %v, %+v", aclName(log), err, s.Health())
	}
	s.Close()
	r.give(t, log)
}

// leave writes a record to edge.telemetry in a transaction of the hub's transactional id, and keeps that from the
// coordinator: it ends the transaction elsewhere only.
func (r *rights) leave(t *testing.T, commit bool) {
	t.Helper()
	ctx := t.Context()
	c, err := kgo.NewClient(kgo.SeedBrokers(r.k.Brokers()...), kgo.TransactionalID("edge/hub/"), kgo.DefaultProduceTopic("edge.gaps"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(ctx, kgo.StringRecord("{}")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	producer, epoch, err := c.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := kversion.Stable()
	old.SetMaxKeyVersion(int16(kmsg.Produce), 11) // newer ones tell the coordinator
	raw, err := kgo.NewClient(kgo.SeedBrokers(r.k.Brokers()...), kgo.MaxVersions(old))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.TransactionID = -1, 10000, kmsg.StringPtr("edge/hub/")
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = openBatch(producer, epoch, `{"left":"open"}`)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = "edge.telemetry", []kmsg.ProduceRequestTopicPartition{p}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatalf("write what stays open: %v", err)
	}
	end := kgo.TryAbort
	if commit {
		end = kgo.TryCommit
	}
	if err := c.EndTransaction(ctx, end); err != nil {
		t.Fatal(err)
	}
}

// openBatch is a batch of one record in a transaction, as a broker stores it.
func openBatch(producer int64, epoch int16, value string) []byte {
	rec := kmsg.Record{Value: []byte(value)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // its own length takes one byte
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, Attributes: 0x10, FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: producer, ProducerEpoch: epoch, NumRecords: 1, Records: rec.AppendTo(nil)}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// left is how many of the records that leave wrote a reader of committed records sees.
func (r *rights) left(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("kcat", "-C", "-q", "-e", "-b", r.k.Brokers()[0], "-t", "edge.telemetry", "-o", "beginning", "-X", "isolation.level=read_committed").Output()
	if err != nil {
		t.Fatalf("kcat: %v", err)
	}
	return strings.Count(string(out), `"left"`)
}
