// Package lint holds the house rules of the code as tests: who may import whom, how large a file may grow, and that
// every package says what it is for.
package lint
