package strictyaml

// Bounds of a configuration file.
const (
	MaxFileBytes    = 1 << 20
	MaxProblems     = 50
	MaxSuggestBytes = 64 // longer unknown keys get no suggestion
)
