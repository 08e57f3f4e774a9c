package hub

import "testing"

func TestColumns(t *testing.T) {
	text := engineText(&Engine{Transactions: 12804, LastSeconds: 0.031, P99Seconds: 0.12, Aborted: 2, Fences: 1})
	for width, want := range map[int]string{
		100: "ENGINE    12,804 transactions   last 31 ms   p99 120 ms   lag 0s   2 aborted   1 fences\n",
		80:  "ENGINE    12,804 transactions   last 31 ms   p99 120 ms   lag 0s   2 aborted\n          1 fences\n",
		1:   "ENGINE    12,804 transactions\n          last 31 ms\n          p99 120 ms\n          lag 0s\n          2 aborted\n          1 fences\n",
	} {
		if got := columns("ENGINE", text, width); got != want {
			t.Errorf("width %d:\n%swant\n%s", width, got, want)
		}
	}
}
