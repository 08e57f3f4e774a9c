// Package shard divides the devices of a fleet among the hubs that share one store.
//
// A device belongs to a shard by the hash of its name, a shard to the hub that holds its lease. Hubs need not know each
// other: each keeps one lease under its own name by beating, reads those of the others, and takes or gives back shards
// until everybody has an even part. What a hub does under a lease carries the lease's number, and the store refuses it
// once somebody else has the lease: that, and not time, is what keeps two hubs apart. Time only decides how soon a
// silent hub's shards go to others: see store.Leases for how it is measured.
package shard

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Bounds.
const (
	DefaultShards = 16
	MaxShards     = 1024
	DefaultTTL    = 10 * time.Second
	MinTTL        = time.Second
	MaxTTL        = 5 * time.Minute
	MaxName       = 32 // bytes of a hub's name

	ticksPerTTL = 4 // looks at the leases, and beats, in one TTL
	// A hub stops acting TTL/margin before others may take what it has, for clocks that do not run equally fast.
	margin = 8
)

// The prefixes of the names of leases.
const (
	memberPrefix = "hub/"
	shardPrefix  = "shard/"
)

// Of is the shard of a device among so many: FNV-1a of its name, 64 bits, modulo. It never changes: hubs of different
// versions must agree on it.
func Of(device string, shards int) int {
	h := fnv.New64a()
	h.Write([]byte(device))
	return int(h.Sum64() % uint64(shards))
}

// ValidName reports whether a hub can be called so: letters, digits, dot, dash and underscore.
func ValidName(s string) bool {
	return s != "" && len(s) <= MaxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// leaseName names the lease of shard i among n. The number of shards stands in it, so that hubs that divide
// differently cannot take one lease for another.
func leaseName(i, n int) string { return fmt.Sprintf("%s%d/%d", shardPrefix, i, n) }

func parseLease(name string) (i, n int, ok bool) {
	a, b, ok := strings.Cut(strings.TrimPrefix(name, shardPrefix), "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	return i, n, ok && strings.HasPrefix(name, shardPrefix) && err1 == nil && err2 == nil && i >= 0 && i < n
}

// hubOf is the name of the hub in an owner's text NAME#RUN.
func hubOf(owner string) string {
	name, _, _ := strings.Cut(owner, "#")
	return name
}
