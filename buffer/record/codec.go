package record

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrBody is wrapped by every refusal of the bytes of a body.
var ErrBody = errors.New("malformed batch body")

// ErrBodyTooLarge is returned where records do not fit one body: the caller gives fewer.
var ErrBodyTooLarge = errors.New("records do not fit one batch body")

// ErrRecord is wrapped by every refusal of a record that breaks the rules of its type.
var ErrRecord = errors.New("malformed record")

// wellFormed checks what every encoder relies on and every decoder promises: a known value type, a number only where
// the type has one, no NaN, value bytes only where they belong, lengths within bounds.
func (r *Record) wellFormed() error {
	switch r.Type {
	case TypeInt:
	case TypeFloat:
		if isNaN(uint64(r.Num)) {
			return fmt.Errorf("%w: a float is NaN", ErrRecord)
		}
	case TypeBool:
		if uint64(r.Num) > 1 {
			return fmt.Errorf("%w: a bool is %d", ErrRecord, r.Num)
		}
	default:
		if !r.Type.Valid() {
			return fmt.Errorf("%w: value type %d", ErrRecord, uint8(r.Type))
		}
		if r.Num != 0 && !numeric(r.Type) {
			return fmt.Errorf("%w: number %d in a record of type %s", ErrRecord, r.Num, r.Type)
		}
	}
	if r.Clock&canonicalData != 0 {
		return fmt.Errorf("%w: clock %d", ErrRecord, uint8(r.Clock))
	}
	if r.Data == nil {
		return nil
	}
	if len(r.Data.Value) > 0 && !r.Type.InData() {
		return fmt.Errorf("%w: value bytes in a record of type %s", ErrRecord, r.Type)
	}
	if len(r.Data.Detail) > MaxDetailBytes || len(r.Data.Value) > MaxRecordBytes || r.CanonicalLen() > MaxRecordBytes {
		return fmt.Errorf("%w: value of %d bytes and detail of %d bytes", ErrRecord, len(r.Data.Value), len(r.Data.Detail))
	}
	return nil
}

// Check reports whether the record may be appended: what every codec relies on, and that a string is UTF-8. The
// error wraps ErrRecord. It does not look into json.
func (r *Record) Check() error {
	if err := r.wellFormed(); err != nil {
		return err
	}
	if r.Type == TypeString && !utf8.Valid(r.Value()) {
		return fmt.Errorf("%w: a string is not UTF-8", ErrRecord)
	}
	return nil
}

// numeric reports whether a valid type keeps its value in Num.
func numeric(t Type) bool {
	b := t.Base()
	return b >= TypeInt && b <= TypeBool
}

func isNaN(bits uint64) bool { return bits&^(1<<63) > math.Float64bits(math.Inf(1)) }
