// Package w1fuse is the kernel's 1-Wire sysfs (driver w1_therm) as a FUSE file system: what a plain directory cannot
// show, it does. A read of a sensor takes the time of its conversion and of the slots on the wire, writes have their
// effect at once or are refused with the kernel's errno, errors of the bus read as empty files, sensors come and go,
// and a read can hang for as long as the test likes.
//
// It needs root (or the right to mount) and /dev/fuse; Mount says so if it cannot. It is for tests and benchmarks.
// Written from Documentation/w1/slaves/w1_therm.rst and drivers/w1/slaves/w1_therm.c of the kernel (5.10 and later).
package w1fuse
