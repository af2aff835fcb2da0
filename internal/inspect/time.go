package inspect

import "time"

// Time is a time that JSON takes in any year. File systems have more of them than
// RFC 3339, whose years have four digits, and one file's must not keep all others
// from being shown.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.Format(`"` + time.RFC3339Nano + `"`)), nil
}
