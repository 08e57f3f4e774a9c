package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Kafka is a cluster of Apache Kafka in KRaft mode; every node is broker and controller.
type Kafka struct {
	Dir   string
	Nodes []*KafkaNode

	libs   string
	secure *Secure
	tier   string // of the JVM's compilers
}

// Secure is a second listener of every node, for clients that say who they are over TLS: by PLAIN, SCRAM-SHA-256,
// SCRAM-SHA-512, or by OAUTHBEARER with a token that nobody has signed, which Kafka takes unless it is told otherwise.
type Secure struct {
	Keystore       string // PEM: a private key in PKCS #8 and the certificate of 127.0.0.1
	User, Password string
	Authorizer     bool // the user has the rights that access lists give; whoever comes without TLS has all
}

// lines are those of server.properties, scram the arguments of StorageTool.
func (s *Secure) lines() (lines, scram []string) {
	name := "listener.name.secure."
	jaas := func(mechanism, module, options string) string {
		return name + mechanism + ".sasl.jaas.config=org.apache.kafka.common.security." + module + " required " + options + ";"
	}
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		scram = append(scram, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, s.User, s.Password))
	}
	if s.Authorizer {
		lines = []string{"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS"}
	}
	return append(lines, name+"ssl.keystore.type=PEM", name+"ssl.keystore.location="+s.Keystore,
		name+"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		jaas("plain", "plain.PlainLoginModule", fmt.Sprintf("user_%s=%q", s.User, s.Password)),
		jaas("scram-sha-256", "scram.ScramLoginModule", ""), jaas("scram-sha-512", "scram.ScramLoginModule", ""),
		jaas("oauthbearer", "oauthbearer.OAuthBearerLoginModule", `unsecuredLoginStringClaim_sub="broker"`),
		name+"oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"), scram
}

// KafkaNode is one broker.
type KafkaNode struct {
	ID, Port, ControllerPort int
	SecurePort               int // 0: there is no such listener

	k *Kafka
	p process
}

// StartKafka makes a cluster of n nodes and starts it. settings are lines of server.properties.
func StartKafka(n int, settings ...string) (*Kafka, error) {
	return startKafka(n, quickTier, nil, settings)
}

// StartSecureKafka starts one node with a second listener.
func StartSecureKafka(s Secure, settings ...string) (*Kafka, error) {
	return startKafka(1, quickTier, &s, settings)
}

// StartFastKafka starts one node that takes its time to become as fast as it can, for measurements.
func StartFastKafka(settings ...string) (*Kafka, error) {
	return startKafka(1, fastTier, nil, settings)
}

const (
	quickTier = "1" // half the CPU time of a start
	fastTier  = "4"
)

func startKafka(n int, tier string, secure *Secure, settings []string) (*Kafka, error) {
	libs, err := kafkaLibs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "edgelog-kafka-")
	if err != nil {
		return nil, err
	}
	k := &Kafka{Dir: dir, libs: libs, secure: secure, tier: tier}
	var voters []string
	for i := range n {
		node := &KafkaNode{ID: i + 1, k: k}
		ports := []*int{&node.Port, &node.ControllerPort}
		if secure != nil {
			ports = append(ports, &node.SecurePort)
		}
		for _, p := range ports {
			if *p, err = FreePort(); err != nil {
				return nil, err
			}
		}
		node.p = process{name: fmt.Sprintf("kafka node %d", node.ID), log: filepath.Join(dir, fmt.Sprintf("node-%d.log", node.ID))}
		k.Nodes = append(k.Nodes, node)
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", node.ID, node.ControllerPort))
	}
	for _, node := range k.Nodes {
		if err := node.format(strings.Join(voters, ","), n, settings); err != nil {
			k.Close()
			return nil, err
		}
	}
	for _, node := range k.Nodes {
		if err := node.launch(); err != nil {
			k.Close()
			return nil, err
		}
	}
	for _, node := range k.Nodes {
		if err := node.await(); err != nil {
			k.Close()
			return nil, err
		}
	}
	return k, nil
}

// clusterID is any 16 bytes in base64.
const clusterID = "ZWRnZWxvZy1jaS0wMDAwMQ"

func (n *KafkaNode) properties() string {
	return filepath.Join(n.k.Dir, fmt.Sprintf("node-%d.properties", n.ID))
}
func (n *KafkaNode) data() string { return filepath.Join(n.k.Dir, fmt.Sprintf("node-%d", n.ID)) }

func (n *KafkaNode) format(voters string, nodes int, settings []string) error {
	rf := min(nodes, 3)
	listeners := fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", n.Port)
	var extra, scram []string
	if s := n.k.secure; s != nil {
		listeners += fmt.Sprintf(",SECURE://127.0.0.1:%d", n.SecurePort)
		extra, scram = s.lines()
	}
	lines := []string{"process.roles=broker,controller", fmt.Sprint("node.id=", n.ID), "controller.quorum.voters=" + voters,
		fmt.Sprintf("listeners=%s,CONTROLLER://127.0.0.1:%d", listeners, n.ControllerPort), "advertised.listeners=" + listeners,
		"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
		"log.dirs=" + n.data(), "num.partitions=4", "auto.create.topics.enable=false",
		fmt.Sprint("offsets.topic.replication.factor=", rf), fmt.Sprint("transaction.state.log.replication.factor=", rf),
		fmt.Sprint("transaction.state.log.min.isr=", max(1, rf-1)), fmt.Sprint("default.replication.factor=", rf), fmt.Sprint("min.insync.replicas=", max(1, rf-1)),
		"transaction.state.log.num.partitions=4", "offsets.topic.num.partitions=4", "group.initial.rebalance.delay.ms=0",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms=1000", "log.retention.check.interval.ms=60000"}
	if nodes == 1 { // a broker that starts again waits until the controller has given up the one before
		lines = append(lines, "broker.session.timeout.ms=6000", "broker.heartbeat.interval.ms=1000")
	}
	lines = append(append(lines, extra...), settings...)
	if err := os.WriteFile(n.properties(), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	args := append([]string{"format", "-t", clusterID, "-c", n.properties()}, scram...)
	out, err := n.k.Java("256m", "kafka.tools.StorageTool", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("format storage of Kafka: %w\n%s", err, out)
	}
	return nil
}

// Java is a command that runs a class of Kafka's.
func (k *Kafka) Java(heap, class string, args ...string) *exec.Cmd {
	return k.JavaWith(k.libs, heap, append([]string{class}, args...)...)
}

// JavaWith is a command that runs a class, or a source file, with the jars of a directory.
func (k *Kafka) JavaWith(libs, heap string, args ...string) *exec.Cmd {
	cmd := exec.Command("java", append([]string{"-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=" + k.tier, "-Dlog4j2.configurationFile=" + k.log4j(),
		"-cp", libs + "/*"}, args...)...)
	cmd.Dir = k.Dir
	return cmd
}

func (k *Kafka) log4j() string {
	file := filepath.Join(k.Dir, "log4j2.properties")
	if _, err := os.Stat(file); err != nil {
		// The tools say what is wrong with it, if anything.
		_ = os.WriteFile(file, []byte("appender.o.type=Console\nappender.o.name=O\nappender.o.target=SYSTEM_ERR\nappender.o.layout.type=PatternLayout\n"+
			"appender.o.layout.pattern=%d %p %m (%c)%n\nrootLogger.level=WARN\nrootLogger.appenderRef.o.ref=O\n"+
			"logger.m.name=kafka.coordinator.transaction.TransactionMarkerChannelManager\nlogger.m.level=INFO\n"), 0o644)
	}
	return file
}

func (n *KafkaNode) launch() error {
	heap := "512m"
	return n.p.start(n.k.Java(heap, "kafka.Kafka", n.properties()))
}

func (n *KafkaNode) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.Port) }

func (n *KafkaNode) await() error {
	return n.p.wait(2*time.Minute, func() bool {
		return listens(n.Port) && (n.SecurePort == 0 || listens(n.SecurePort))
	})
}

func listens(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	return err == nil && c.Close() == nil
}

// Start starts a node again.
func (n *KafkaNode) Start() error {
	if err := n.launch(); err != nil {
		return err
	}
	return n.await()
}

// Kill is a power cut of the process.
func (n *KafkaNode) Kill() { n.p.end(syscall.SIGKILL, 20*time.Second) }

// Stop lets it hand over and write everything down.
func (n *KafkaNode) Stop() { n.p.end(syscall.SIGTERM, time.Minute) }

// Pause stops the process where it is; Resume lets it go on.
func (n *KafkaNode) Pause()  { n.p.cmd.Process.Signal(syscall.SIGSTOP) }
func (n *KafkaNode) Resume() { n.p.cmd.Process.Signal(syscall.SIGCONT) }

// LostEnds counts how often a node took a transaction for ended without having written its end everywhere (KAFKA-20734).
func (k *Kafka) LostEnds() (n int) {
	for _, node := range k.Nodes {
		b, _ := os.ReadFile(node.p.log)
		n += strings.Count(string(b), "Couldn't find leader endpoint")
	}
	return n
}

// Brokers are the addresses of all nodes.
func (k *Kafka) Brokers() (out []string) {
	for _, n := range k.Nodes {
		out = append(out, n.addr())
	}
	return out
}

// Backup copies the data of the stopped nodes; Restore puts it back.
func (k *Kafka) Backup(to string) error {
	for _, n := range k.Nodes {
		if err := copyDir(n.data(), filepath.Join(to, filepath.Base(n.data()))); err != nil {
			return err
		}
	}
	return nil
}

// Restore is described at Backup.
func (k *Kafka) Restore(from string) error {
	for _, n := range k.Nodes {
		if err := copyDir(filepath.Join(from, filepath.Base(n.data())), n.data()); err != nil {
			return err
		}
	}
	return nil
}

// Close ends it and removes what it wrote.
func (k *Kafka) Close() error {
	for _, n := range slices.Backward(k.Nodes) {
		n.p.end(syscall.SIGKILL, 20*time.Second)
	}
	return os.RemoveAll(k.Dir)
}
