// Package logtool is what the `edgectl log` commands do: it verifies, shows, dumps, measures and salvages the log in a
// directory, of a dead box or beside a running agent, and carries it by hand.
//
// What only reads takes no lock and writes nothing into the log. Export remembers its nonce in one file beside the
// streams. Deliver and Erase change the log: they take its lock, so the agent must be stopped. The package returns
// values; people's text stands in internal/cli.
package logtool
