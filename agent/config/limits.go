package config

import (
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Bounds of a configuration.
const (
	MaxStreams        = 16
	MaxSources        = 256
	MaxMirrors        = 8
	MaxSyntheticRate  = 10_000_000
	MaxSynthetic      = 65_000
	MaxDeviceBytes    = 64
	MaxCommitInterval = time.Minute
	MinInterval       = 10 * time.Millisecond
	MaxInterval       = 24 * time.Hour
	MinStreamBytes    = 4 * strictyaml.MiB
	MinSegmentBytes   = 1 * strictyaml.MiB
	MaxSegmentBytes   = 1 * strictyaml.GiB
	MinBacklogRate    = strictyaml.Bytes(256) // a second
	MinBudget         = 64 * strictyaml.KiB
	MinWindow         = 256 * strictyaml.KiB
	MaxWindow         = 64 * strictyaml.MiB
	MinKeepAlive      = 5 * time.Second
	MaxKeepAlive      = 18 * time.Hour
	MinValues         = time.Second
	MaxValues         = 24 * time.Hour
	MinAge            = time.Hour
	MaxAge            = 20 * 365 * 24 * time.Hour
	MaxOldKeys        = 16
	MaxModbusUnits    = 247
	MaxModbusTimeout  = 30 * time.Second
	MaxModbusRetries  = 10
	MaxRules          = 256
	MaxTable          = 64 // points of a calibration
	MaxHeartbeat      = 7 * 24 * time.Hour
	MaxSourceTimeout  = 10 * time.Minute
	MaxGPSDelay       = 5 * time.Second
	MaxKernelMaster   = 1 << 20
	MaxNodeLines      = 16
	MaxLineNodes      = 32
	MinToken          = 12 // characters of control.http's token
	MaxPipelines      = 32
	MinWindowSize     = time.Second
	MaxWindowSize     = 7 * 24 * time.Hour
	MaxWindowLate     = 7 * 24 * time.Hour
	MaxWindowHops     = 60  // windows that one reading belongs to
	MaxWindowPanes    = 512 // spans of every that are kept open
	MaxAlarmFor       = 7 * 24 * time.Hour
	MaxAlarmText      = 256
	anyModbusUnit     = 254 // to which some single devices on a line answer
	maxSecretBytes    = 64 << 10
)

// DiskReserve is the free space, in bytes, below which a file system of total bytes is called nearly full.
func DiskReserve(total uint64) uint64 { return min(256<<20, total/20) }
