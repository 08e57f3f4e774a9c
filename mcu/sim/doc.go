// Package sim runs the images of real firmware on simulated chips and joins them to a simulated RS-485 line.
//
// It is for tests and must not be imported by a program. A Chip runs one image in simulated time: an ATmega328P in
// Debian's libsimavr, an 8052 written here, a Cortex-M in qemu-system-arm. The devices at its pins (DS18B20, HD44780,
// DS1302, relays) are the same models for all chips; they write down what breaks their timing and can be made to fail.
// A Line carries characters between the chips and a master, which is a tty (Serve, Path) or this process in simulated
// time (Exchange), and can damage or lose them.
package sim
