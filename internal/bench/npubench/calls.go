//go:build !cgo

package main

import "errors"

func calls() error {
	return errors.New("the figures compare with cgo: run with CGO_ENABLED=1 and a C compiler")
}
