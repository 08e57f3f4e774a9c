// Package page looks at the box's web page with a real browser: Chromium from Debian's packages, driven over its DevTools
// pipe, against a real agent whose log has known readings. `make test-page` installs it and runs the tests.
package page
