package mcu

// SettingAddress is where a setting stands.
type SettingAddress struct {
	Name string
	Addr uint16
}

// SettingAddresses lists all settings.
func SettingAddresses() []SettingAddress {
	var out []SettingAddress
	for _, s := range settings {
		out = append(out, SettingAddress{s.name, s.addr})
	}
	return out
}
