package efi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// timeSize is that of EFI_TIME: year, month, day, hour, minute, second, a pad,
// nanosecond, time zone, daylight saving, a pad.
const timeSize = 16

// parseTime reads an EFI_TIME of UTC. The time with all bytes zero is the zero
// time.Time.
func parseTime(b []byte) (time.Time, error) {
	if [timeSize]byte(b) == [timeSize]byte{} {
		return time.Time{}, nil
	}
	year, nanosecond := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint32(b[8:])
	month, day, hour, minute, second := int(b[2]), int(b[3]), int(b[4]), int(b[5]), int(b[6])
	text := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", year, month, day, hour, minute, second)
	t := time.Date(year, time.Month(month), day, hour, minute, second, int(nanosecond), time.UTC)
	switch {
	case year < 1900 || year > 9999:
		return time.Time{}, fmt.Errorf("reading the time %s: the year is not within 1900 to 9999", text)
	// time.Date moves what is out of range into the next unit.
	case nanosecond > 999_999_999, t.Format(time.DateTime) != text:
		return time.Time{}, fmt.Errorf("reading the time %s: there is no such time", text)
	case b[7] != 0 || b[15] != 0:
		return time.Time{}, errors.New("reading a time: its padding is not zero")
	}
	return t, nil
}
