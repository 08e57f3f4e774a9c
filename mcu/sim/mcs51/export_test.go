package mcs51

// EntryOfS51 makes the entry of an interrupt as short as s51 makes it.
func EntryOfS51(on bool) {
	entryCycles = 2
	if on {
		entryCycles = 1
	}
}
