package release

import "time"

// Bounds of what is read. Everything beyond is refused before memory is taken for it.
const (
	MaxManifestBytes  = 256 << 10
	MaxDepth          = 8   // nested objects and arrays of a manifest
	MaxComponents     = 64  // of a release, base included
	MaxConstraints    = 32  // of one fact
	MaxName           = 128 // bytes of a name, version, fact or constraint
	MaxDeltas         = 8   // of one component
	MaxIncludes       = 4   // manifests that include one another
	MaxComponentBytes = 8 << 30
	MaxUnindexed      = 64 << 10 // a component without an index
	MinChunkBits      = 14       // chunks of 16 KiB …
	MaxChunkBits      = 18       // … to 256 KiB; 64 KiB where nobody says otherwise
	DefaultChunkBits  = 16
	MaxIndexBytes     = indexHeader + sha256Size*(MaxComponentBytes>>DefaultChunkBits)
	maxProbation      = 24 * 60 * 60 // seconds

	// CandidateLife is RuntimeMaxSec= of the candidates' units (deploy/systemd), which is what ends a probation that nobody ends.
	CandidateLife = 25 * time.Minute
	// MaxSoak is what of it may be left for checks to hold, seconds.
	MaxSoak = int(CandidateLife/time.Second) - 60
)
