// Package stores proves the hub's stores for PostgreSQL and Kafka against the servers themselves, with what kills and
// cuts do to them, and measures them.
package stores
