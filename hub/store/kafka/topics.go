package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The topics, PREFIX being "edge" by default.
func (o Options) offsetsTopic() string      { return o.Prefix + "-offsets" } // compacted: what decides
func (o Options) leasesTopic() string       { return o.Prefix + "-leases" }  // compacted
func (o Options) rowsTopic(s string) string { return o.Prefix + "." + s }
func (o Options) lateTopic(s string) string { return o.Prefix + "." + s + ".late" }
func (o Options) gapsTopic() string         { return o.Prefix + ".gaps" }
func (o Options) deadTopic() string         { return o.Prefix + ".dead-letters" }
func (o Options) timesTopic() string        { return o.Prefix + ".times" }
func (o Options) seriesTopic() string       { return o.Prefix + ".series" } // compacted
func isCompacted(o Options, topic string) bool {
	return topic == o.offsetsTopic() || topic == o.leasesTopic() || topic == o.seriesTopic()
}

// owns reports whether a topic is of this prefix.
func (o Options) owns(topic string) bool {
	return topic == o.offsetsTopic() || topic == o.leasesTopic() || strings.HasPrefix(topic, o.Prefix+".")
}

// ErrTopic is wrapped by what is wrong with a topic that is there.
var ErrTopic = errors.New("a topic is not as the hub needs it")

// ensure makes topics that are missing and checks those that are there. It returns the number of partitions of each.
func (o Options) ensure(ctx context.Context, adm *kadm.Client, topics ...string) (map[string]int, error) {
	m, err := adm.Metadata(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("look up topics: %w", lacking(err, "Create, Read and Write on "+strings.Join(topics, ", ")))
	}
	parts := map[string]int{}
	for _, name := range topics {
		t := m.Topics[name]
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			if o.ReadOnly {
				return nil, fmt.Errorf("%w: %s does not exist; a hub that runs makes it", ErrTopic, name)
			}
			if err := o.create(ctx, adm, name); err != nil {
				return nil, err
			}
			if t, err = o.await(ctx, adm, name); err != nil {
				return nil, err
			}
		}
		if t.Err != nil {
			return nil, fmt.Errorf("look up topic %s: %w", name, t.Err)
		}
		parts[name] = len(t.Partitions)
		err := o.check(ctx, adm, name, t)
		for errors.Is(err, kerr.UnknownTopicOrPartition) && ctx.Err() == nil { // another broker has not heard of it yet
			sleep(ctx, fetchWait/5)
			err = o.check(ctx, adm, name, t)
		}
		if err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// await waits until the cluster tells of a topic that was just made.
func (o Options) await(ctx context.Context, adm *kadm.Client, name string) (t kadm.TopicDetail, err error) {
	for ctx.Err() == nil {
		var m kadm.Metadata
		if m, err = adm.Metadata(ctx, name); err == nil {
			t = m.Topics[name]
			if t.Err == nil && len(t.Partitions) > 0 && !slices.ContainsFunc(t.Partitions.Sorted(), func(p kadm.PartitionDetail) bool { return p.Leader < 0 }) {
				return t, nil
			}
		}
		sleep(ctx, fetchWait/5)
	}
	return t, fmt.Errorf("topic %s was made and does not appear: %w", name, errors.Join(context.Cause(ctx), err))
}

func (o Options) create(ctx context.Context, adm *kadm.Client, name string) error {
	config := map[string]*string{}
	set := func(k, v string) { config[k] = &v }
	partitions := o.Partitions
	switch {
	case isCompacted(o, name):
		set("cleanup.policy", "compact")
		set("min.cleanable.dirty.ratio", "0.1")
		set("segment.bytes", strconv.Itoa(64<<20))
		set("segment.ms", strconv.Itoa(24*3600*1000)) // only closed segments are compacted
		switch name {
		case o.offsetsTopic():
			partitions = o.Shards
		case o.leasesTopic():
			partitions = 1
		}
	default:
		set("cleanup.policy", "delete")
		if o.Retention != 0 {
			set("retention.ms", strconv.FormatInt(o.Retention.Milliseconds(), 10))
		}
		if o.RetentionBytes != 0 {
			set("retention.bytes", strconv.FormatInt(o.RetentionBytes, 10))
		}
	}
	rf := int16(-1)
	if o.ReplicationFactor > 0 {
		rf = int16(o.ReplicationFactor)
	}
	switch {
	case o.MinInsync > 0:
		set("min.insync.replicas", strconv.Itoa(o.MinInsync))
	case o.ReplicationFactor > 0:
		set("min.insync.replicas", strconv.Itoa(max(1, o.ReplicationFactor-1)))
	}
	resp, err := adm.CreateTopic(ctx, int32(partitions), rf, config, name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make topic %s with %d partitions, replication factor %d: %w", name, partitions, rf, lacking(err, "Create on the topic "+name))
	}
	return nil
}

// check refuses a topic that would lose what it is given.
func (o Options) check(ctx context.Context, adm *kadm.Client, name string, t kadm.TopicDetail) error {
	if rf := t.Partitions.NumReplicas(); o.ReplicationFactor > 0 && rf < o.ReplicationFactor {
		return fmt.Errorf("%w: %s has %d replicas, replication_factor is %d", ErrTopic, name, rf, o.ReplicationFactor)
	}
	cs, err := adm.DescribeTopicConfigs(ctx, name)
	var c kadm.ResourceConfig
	if err == nil {
		c, err = cs.On(name, nil)
	}
	if err == nil {
		err = c.Err
	}
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return nil // whoever may not look has to trust who made it
	}
	if err != nil {
		return fmt.Errorf("look up configuration of %s: %w", name, err)
	}
	value := func(key string) string {
		for _, e := range c.Configs {
			if e.Key == key {
				return e.MaybeValue()
			}
		}
		return ""
	}
	policy := value("cleanup.policy")
	if isCompacted(o, name) && policy != "" && (!strings.Contains(policy, "compact") || strings.Contains(policy, "delete")) {
		return fmt.Errorf("%w: %s has cleanup.policy %q, it must be compact: positions must never go", ErrTopic, name, policy)
	}
	if !isCompacted(o, name) && strings.Contains(policy, "compact") {
		return fmt.Errorf("%w: %s has cleanup.policy %q: rows of one device would replace each other", ErrTopic, name, policy)
	}
	if n, err := strconv.Atoi(value("min.insync.replicas")); err == nil && n < o.MinInsync {
		return fmt.Errorf("%w: %s has min.insync.replicas %d, configured are %d", ErrTopic, name, n, o.MinInsync)
	}
	if n, err := strconv.Atoi(value("max.message.bytes")); err == nil && n < batchBytes {
		return fmt.Errorf("%w: %s has max.message.bytes %d, the hub needs %d", ErrTopic, name, n, batchBytes)
	}
	return nil
}
