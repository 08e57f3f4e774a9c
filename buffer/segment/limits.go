package segment

import "github.com/edgelog/edgelog/buffer/record"

// Bounds of the format. A length is checked against them before it is believed.
const (
	MaxHeaderBytes = 1 << 20            // header of a segment, state included
	MaxExtBytes    = 60 << 10           // extension of one block
	MaxStateBytes  = MaxHeaderBytes     // body of a state or index block
	MaxFileBytes   = 1<<32 - 1          // positions in a segment are 32 bits wide
	MaxCursors     = 64                 // named cursors of one stream
	MaxEpochs      = 4096               // epochs restated in one state
	MaxBoots       = 4096               // anchors restated in one state
	MaxBootBytes   = 64                 // a boot id
	indexGroup     = 32 << 10           // one index entry for about so many bytes of blocks
	readWindow     = 256 << 10          // bytes read at once by a scan
	maxSealDefs    = 64 << 10           // definitions repeated at the end of a sealed segment, bytes
	maxDefBlock    = record.MaxRawBytes // body of one definitions block
)
