package kafka

import (
	"hash/fnv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shardOf is the partition of PREFIX-offsets that a device's positions lie in: FNV-1a of its name, 64 bits, modulo, which
// is also how hubs that share a store divide devices. It never changes.
func shardOf(device string, shards int) int32 {
	h := fnv.New64a()
	h.Write([]byte(device))
	return int32(h.Sum64() % uint64(shards))
}

// byDevice is the partitioner: records that name their partition go there, others by the hash of their key that Kafka's
// own producers use, so that other programs find a device in the partition they expect.
type byDevice struct{}

// ForTopic implements kgo.Partitioner.
func (byDevice) ForTopic(string) kgo.TopicPartitioner { return byDevice{} }

// RequiresConsistency implements kgo.TopicPartitioner.
func (byDevice) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner.
func (byDevice) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return int(murmur2(r.Key)&0x7fffffff) % n
}

// murmur2 is the 32-bit hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(b []byte) uint32 {
	const seed, m, r = 0x9747b28c, 0x5bd1e995, 24
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
