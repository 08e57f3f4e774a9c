package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Validate checks everything that can be checked without the machine. The error is a *strictyaml.Error.
func (c *Config) Validate() error {
	r := strictyaml.NewReport(nil, nil)
	c.validate(r)
	return r.Err()
}

func (c *Config) validate(r *strictyaml.Report) {
	if why := badDevice(c.Device); c.Device != "" && why != "" {
		r.Addf("device", "device %q cannot name a device: %s", c.Device, why)
	}
	if c.DataDir == "" {
		r.Addf("data_dir", "data_dir is empty")
	}
	if c.RunDir == "" {
		r.Addf("run_dir", "run_dir is empty")
	}
	if len(c.RunDir) > 80 {
		r.Addf("run_dir", "run_dir has %d bytes; a socket's path in it may have 107, so at most 80 are possible", len(c.RunDir))
	}
	c.validateStreams(r)
	c.validateSources(r)
	c.validateNodes(r)
	c.validatePipelines(r)
	if n := len(c.Storage.Encryption.OldKeyFiles); n > MaxOldKeys {
		r.Addf("storage.encryption.old_key_files", "storage.encryption.old_key_files names %d files, at most %d are possible", n, MaxOldKeys)
	}
	if c.Uplink.Kafka != nil {
		c.Uplink.Kafka.validate(r)
		if c.Uplink.MQTT != nil {
			r.Addf("uplink", "uplink has mqtt and kafka: one of them delivers; remove the other")
		}
	}
	if c.Uplink.MQTT != nil {
		c.Uplink.MQTT.validate(r)
	}
	c.Update.validate(r, c)
	c.Control.HTTP.validate(r)
	for name, p := range c.Control.Producers {
		path := "control.producers." + name
		if !validProducer(name) {
			r.Addf(path, "producer %q: a name has 1 to %d of a-z A-Z 0-9 . _ : -", name, record.MaxProducerName)
		}
		if strings.HasPrefix(name, nodePrefix) {
			r.Addf(path, "producer %q: names that begin with %s are those of microcontroller nodes", name, nodePrefix)
		}
		if strings.HasPrefix(name, PipelinePrefix) {
			r.Addf(path, "producer %q: names that begin with %s are those of pipelines", name, PipelinePrefix)
		}
		c.wantStream(r, path+".stream", p.Stream)
	}
	if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, c.Log.Level) {
		r.Addf("log.level", "log.level %q is not a level%s", c.Log.Level, strictyaml.Suggest(c.Log.Level, levels))
	}
}

// badDevice says why a text cannot be a device's id, "" if it can.
func badDevice(id string) string {
	switch {
	case id == "":
		return "it is empty"
	case len(id) > MaxDeviceBytes:
		return fmt.Sprintf("it has %d bytes, at most %d are possible", len(id), MaxDeviceBytes)
	case id == "hub" || id == "enroll":
		return "this name is reserved"
	case strings.ContainsAny(id, "/+#"):
		return "the characters / + # have a meaning in topics"
	}
	for _, c := range id {
		if c <= ' ' || c == 0x7f || c == 0xfffd {
			return "it has blanks or control characters"
		}
	}
	return ""
}

func validProducer(name string) bool {
	if name == "" || len(name) > record.MaxProducerName {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") == ""
}

func between[T int | float64 | ~int64](r *strictyaml.Report, path string, v, lo, hi T) {
	if v < lo || v > hi {
		r.Addf(path, "%s is %v; possible are %v to %v", path, v, lo, hi)
	}
}

func (c *Config) validateStreams(r *strictyaml.Report) {
	if len(c.Streams) > MaxStreams {
		r.Addf("streams", "%d streams, at most %d are possible", len(c.Streams), MaxStreams)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Streams)) {
		s, path := c.Streams[name], "streams."+name
		if !record.ValidStream(name) {
			r.Addf(path, "stream %q: a name has 1 to %d of a-z 0-9 -", name, record.MaxStreamName)
		}
		between(r, path+".commit_interval", s.CommitInterval, 0, MaxCommitInterval)
		if s.MaxBytes < MinStreamBytes {
			r.Addf(path+".max_bytes", "%s.max_bytes is %s; at least %s are needed", path, s.MaxBytes, MinStreamBytes)
		}
		between(r, path+".segment_bytes", s.SegmentBytes, MinSegmentBytes, MaxSegmentBytes)
		if s.SegmentBytes > s.MaxBytes/2 {
			r.Addf(path+".segment_bytes", "%s.segment_bytes is %s; it may be at most half of max_bytes (%s)", path, s.SegmentBytes, s.MaxBytes)
		}
		if modes := []string{FullDropOldest, FullBlock}; !slices.Contains(modes, s.Full) {
			r.Addf(path+".full", "%s.full %q is not a policy%s", path, s.Full, strictyaml.Suggest(s.Full, modes))
		}
		between(r, path+".priority", s.Priority, 0, 9)
		if s.MaxAge != 0 {
			between(r, path+".max_age", s.MaxAge, MinAge, MaxAge)
		}
	}
}

func (c *Config) wantStream(r *strictyaml.Report, path, stream string) {
	if _, ok := c.Streams[stream]; !ok {
		r.Addf(path, "%s: there is no stream %q%s", path, stream, strictyaml.Suggest(stream, slices.Sorted(maps.Keys(c.Streams))))
	}
}

func (c *Config) validateSources(r *strictyaml.Report) {
	if len(c.Sources) > MaxSources {
		r.Addf("sources", "%d sources, at most %d are possible", len(c.Sources), MaxSources)
	}
	first := map[string]int{}
	for i := range c.Sources {
		s, path := &c.Sources[i], "sources["+strconv.Itoa(i)+"]"
		wantName(r, first, "sources", i, s.Name)
		between(r, path+".interval", s.Interval, MinInterval, MaxInterval)
		c.wantStream(r, path+".stream", s.Stream)
		for j, rule := range s.Rules {
			if rule.Stream != "" {
				c.wantStream(r, path+".rules["+strconv.Itoa(j)+"].stream", rule.Stream)
			}
		}
		s.validate(r, path)
	}
}

func (s *Source) validate(r *strictyaml.Report, path string) {
	blocks := s.blocks()
	if !slices.ContainsFunc(blocks, func(b block) bool { return b.driver == s.Driver }) {
		var known []string
		for _, b := range blocks {
			known = append(known, b.driver)
		}
		r.Addf(path+".driver", "%s.driver %q is unknown%s", path, s.Driver, strictyaml.Suggest(s.Driver, known))
	} else {
		for _, b := range blocks {
			switch {
			case b.given && b.driver != s.Driver:
				r.Addf(path+"."+b.driver, "%s has a block %q, but its driver is %q", path, b.driver, s.Driver)
			case !b.given && b.driver == s.Driver:
				r.Addf(path, "%s: driver %q needs a block %q", path, s.Driver, s.Driver)
			case b.given && b.validate != nil:
				b.validate(r, path+"."+b.driver)
			}
		}
	}
	for name, rg := range s.Ranges {
		if rg.Min >= rg.Max {
			r.Addf(path+".ranges."+name, "%s.ranges.%s: min %v is not below max %v", path, name, rg.Min, rg.Max)
		}
		sr := record.Series{Name: name}
		if sr.Normalize() != nil {
			r.Addf(path+".ranges."+name, "%s.ranges: %q cannot be the name of a series", path, name)
		}
	}
	for key, value := range s.Labels {
		sr := record.Series{Name: "x", Labels: []record.Label{{Key: key, Value: value}}}
		if err := sr.Normalize(); err != nil {
			r.Addf(path+".labels."+key, "%s.labels: %q: %q cannot be a label; keys have a-z 0-9 _ and do not begin with a digit", path, key, value)
		}
	}
	s.validateRules(r, path)
	if len(s.Labels) > record.MaxLabels/2 {
		r.Addf(path+".labels", "%s.labels has %d labels, at most %d are possible", path, len(s.Labels), record.MaxLabels/2)
	}
}

// block is what a source says to one driver.
type block struct {
	driver   string
	given    bool
	validate func(r *strictyaml.Report, path string)
}

func (s *Source) blocks() []block {
	return []block{
		{DriverSystem, s.System != nil, nil},
		{DriverW1, s.W1 != nil, s.W1.validate},
		{DriverSynthetic, s.Synthetic != nil, s.Synthetic.validate},
		{DriverDS18B20, s.DS18B20 != nil, s.DS18B20.validate},
		{DriverModbus, s.Modbus != nil, s.Modbus.validate},
		{DriverExec, s.Exec != nil, s.Exec.validate},
		{DriverSerial, s.Serial != nil, s.Serial.validate},
		{DriverListen, s.Listen != nil, nil},
		{DriverMQTT, s.MQTT != nil, s.MQTT.validate},
		{DriverAir, s.Air != nil, s.Air.validate},
		{DriverNMEA, s.NMEA != nil, s.NMEA.validate},
	}
}

func (y *Synthetic) validate(r *strictyaml.Report, path string) {
	between(r, path+".series", y.Series, 1, MaxSynthetic)
	between(r, path+".rate", y.Rate, 0, MaxSyntheticRate)
}

func (w *W1) validate(r *strictyaml.Report, path string) {
	wantResolution(r, path, w.Resolution, w.Persist)
	between(r, path+".read_timeout", w.ReadTimeout, MinInterval, MaxCommitInterval)
	if strings.ContainsRune(w.Master, '/') {
		r.Addf(path+".master", "%s.master %q is not a name such as w1_bus_master1", path, w.Master)
	}
	for rom := range w.Names {
		if !validROM(rom) {
			r.Addf(path+".names."+rom, "%s.names: %q is not the id of a 1-Wire device; they look like 28-0416a1b2c3ff", path, rom)
		}
	}
}

func validROM(s string) bool {
	return len(s) == 15 && s[2] == '-' && strings.Trim(s[:2]+s[3:], "0123456789abcdef") == ""
}

// cutScheme splits a broker's URL.
func cutScheme(url string) (scheme, hostPort string, ok bool) { return strings.Cut(url, "://") }

// HostPort is the broker's host and port.
func (m *MQTT) HostPort() (string, error) {
	scheme, addr, ok := cutScheme(m.Broker)
	if !ok || !slices.Contains([]string{"tcp", "mqtt", "ssl", "tls", "mqtts"}, scheme) {
		return "", fmt.Errorf("%q is not a broker; write ssl://host:8883 or tcp://host:1883", m.Broker)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), "1883"
		if m.UsesTLS() {
			port = "8883"
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@?# ") {
		return "", fmt.Errorf("%q is not a broker; write ssl://host:8883 or tcp://host:1883", m.Broker)
	}
	return net.JoinHostPort(host, port), nil
}

func (m *MQTT) validate(r *strictyaml.Report) {
	const path = "uplink.mqtt"
	if _, err := m.HostPort(); err != nil {
		r.Addf(path+".broker", "%s.broker: %v", path, err)
	}
	if (m.CertFile == "") != (m.KeyFile == "") {
		r.Addf(path, "%s: cert_file and key_file belong together; give both or none", path)
	}
	if !m.UsesTLS() && (m.CAFile != "" || m.CertFile != "") {
		r.Addf(path+".broker", "%s.broker %q does not use TLS, but certificates are given; write ssl://", path, m.Broker)
	}
	if m.PasswordFile != "" && m.Username == "" {
		r.Addf(path+".password_file", "%s.password_file is given without username", path)
	}
	if p := m.TopicPrefix; strings.ContainsAny(p, "+#\x00") || strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.HasPrefix(p, "$") || len(p) > 64 {
		r.Addf(path+".topic_prefix", "%s.topic_prefix %q: a prefix is words joined by /, without + and #, at most 64 bytes", path, p)
	}
	between(r, path+".keep_alive", m.KeepAlive, MinKeepAlive, MaxKeepAlive)
	if m.Values != 0 {
		between(r, path+".values", m.Values, MinValues, MaxValues)
	}
	for _, b := range []struct {
		key        string
		value, min strictyaml.Bytes
	}{{"backlog_rate", m.BacklogRate, MinBacklogRate}, {"budget_per_hour", m.BudgetPerHour, MinBudget}, {"budget_per_month", m.BudgetPerMonth, MinBudget}} {
		if b.value != 0 && b.value < b.min {
			r.Addf(path+"."+b.key, "%s.%s is %s; the least is %s (leave it out for no bound)", path, b.key, b.value, b.min)
		}
	}
	if m.Window < MinWindow || m.Window > MaxWindow {
		r.Addf(path+".window", "%s.window is %s; possible are %s to %s", path, m.Window, MinWindow, MaxWindow)
	}
}

// wantName wants a name that no earlier entry of a list has; first says which entry has which.
func wantName(r *strictyaml.Report, first map[string]int, list string, i int, name string) {
	path := fmt.Sprintf("%s[%d]", list, i)
	if j, dup := first[name]; dup {
		r.Addf(path+".name", "%s.name %q is taken by %s[%d]", path, name, list, j)
	} else if first[name] = i; !record.ValidStream(name) {
		r.Addf(path+".name", "%s.name %q: a name has 1 to 32 of a-z 0-9 -", path, name)
	}
}
