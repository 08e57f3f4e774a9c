package agent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/internal/api"
)

// TestWhatIsNew: every end of a transaction is noted once, whatever states were seen in between.
func TestWhatIsNew(t *testing.T) {
	past := func(txn, release, state string) api.PastUpdate {
		return api.PastUpdate{Transaction: txn, Release: release, State: state}
	}
	was := noted{state: "IDLE"}
	for _, step := range []struct {
		state, release string
		past           []api.PastUpdate
		want           []string
	}{
		{state: "IDLE"},
		{state: "INSTALLING", release: "1", want: []string{"update INSTALLING 1"}},
		{state: "COMMITTED", release: "1", past: []api.PastUpdate{past("a", "1", "COMMITTED")}, want: []string{"update COMMITTED 1"}},
		{state: "COMMITTED", release: "1", past: []api.PastUpdate{past("a", "1", "COMMITTED")}},
		// The agent was restarted by a commit, and the next release is wanted already.
		{state: "CHECKING", release: "3", past: []api.PastUpdate{past("b", "2", "COMMITTED"), past("a", "1", "COMMITTED")},
			want: []string{"update COMMITTED 2", "update CHECKING 3"}},
		// Two ends while nobody looked.
		{state: "ROLLED_BACK", release: "3", past: []api.PastUpdate{past("d", "3", "ROLLED_BACK"), past("c", "3", "FAILED"), past("b", "2", "COMMITTED")},
			want: []string{"update FAILED 3", "update ROLLED_BACK 3"}},
		// The same release, the same end again: another transaction.
		{state: "ROLLED_BACK", release: "3", past: []api.PastUpdate{past("e", "3", "ROLLED_BACK"), past("d", "3", "ROLLED_BACK")},
			want: []string{"update ROLLED_BACK 3"}},
		{state: "INCONSISTENT", release: "4", past: []api.PastUpdate{{Transaction: "f", Release: "4", State: "ROLLED_BACK", Unfinished: []string{"node"}}, past("e", "3", "ROLLED_BACK")},
			want: []string{"update INCONSISTENT 4"}},
		{state: "REJECTED", release: "5", past: []api.PastUpdate{past("f", "4", "COMMITTED")}, want: []string{"update REJECTED 5"}},
	} {
		list, is := whatIsNew(was, &api.Update{State: step.state, Desired: step.release, Past: step.past})
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprint(e.What, " ", e.ID))
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s %s after %+v: %q, want %q", step.state, step.release, was, got, step.want)
		}
		was = is
	}
}
