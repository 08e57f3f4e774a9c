package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// finish stops the sources, lets the backlog drain, prints both accounts and checks what the demo claims.
func finish(s *stage) error {
	fmt.Println("\nThe sources are stopped; the backlog drains.")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	acc, err := s.drain(ctx)
	if err != nil {
		return errors.Join(err, fmt.Errorf("logs are in %s", s.dir))
	}
	fmt.Println("\nThe account of the box (edgectl account):")
	if err := show("edgectl", "--run-dir", filepath.Join(s.dir, "run"), "account"); err != nil {
		return err
	}
	conf := filepath.Join(s.dir, "hub.yaml")
	fmt.Println("\nThe account of the hub (edge-hub account):")
	if err := show("edge-hub", "account", "--config", conf); err != nil {
		return err
	}
	fmt.Println()
	if err := show("edge-hub", "verify", "--config", conf); err != nil {
		return fmt.Errorf("edge-hub verify: %w", err)
	}
	s.close()
	if !acc.Balanced {
		return errors.New("the account of the box does not balance")
	}
	if err := s.check(acc.Streams[0].Sum.End); err != nil {
		return err
	}
	db := filepath.Join(s.dir, "hub.db")
	fmt.Printf("\nEvery stream balances: 0 duplicates, 0 gaps, every source has records.\n\nThe store is %s. Try:\n\n"+
		"  sqlite3 -box %s \"SELECT time, labels, value, unit, quality FROM readings\n"+
		"    WHERE series = 'temperature' ORDER BY t DESC LIMIT 10\"\n\n"+
		"or ask the log of the box itself, its agent ended:\n\n  bin/edgectl --dir %s tail\n", db, db, filepath.Join(s.dir, "agent"))
	return nil
}

func show(name string, args ...string) error {
	cmd := exec.Command(filepath.Join("bin", name), args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// hubAccount is what the demo needs of `edge-hub account --json`.
type hubAccount struct {
	Balanced bool `json:"balanced"`
	Streams  []struct {
		Stream string `json:"stream"`
		Rows   uint64 `json:"rows"`
		Gaps   uint64 `json:"gaps"`
	} `json:"streams"`
}

// check asks the hub: the account balances, there is no gap, and every expected source has records.
func (s *stage) check(uint64) error {
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join("bin", "edge-hub"), "account", "--json", "--config", filepath.Join(s.dir, "hub.yaml"))
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("edge-hub account: %w", err)
	}
	var acc hubAccount
	if err := json.Unmarshal(out.Bytes(), &acc); err != nil {
		return fmt.Errorf("read the hub's account: %w", err)
	}
	if !acc.Balanced || len(acc.Streams) == 0 {
		return errors.New("the account of the hub does not balance")
	}
	for _, st := range acc.Streams {
		if st.Gaps > 0 {
			return fmt.Errorf("stream %s has gaps of %d records at the hub", st.Stream, st.Gaps)
		}
	}
	db := filepath.Join(s.dir, "hub.db")
	want := map[string]string{"host metrics": "cpu.busy%", "the simulated 1-Wire bus": "temperature%rom%"}
	if s.npu != nil {
		want["the simulated NPU"] = "npu.score%"
	}
	for what, like := range want {
		n, err := exec.Command("bin/edge-hub", "count", "--config", filepath.Join(s.dir, "hub.yaml"), "--series", like).Output()
		if err != nil || strings.TrimSpace(string(n)) == "0" {
			return fmt.Errorf("%s: no records in %s", what, db)
		}
	}
	return nil
}
