package efi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	// timeSize is that of EFI_TIME: year, month, day, hour, minute, second, a
	// pad, nanosecond, time zone, daylight saving, a pad.
	timeSize = 16
	// unspecifiedZone stands for no time zone at all; such times are taken for UTC.
	unspecifiedZone = 2047
	// maxZone bounds a time zone, in minutes either way.
	maxZone = 24 * 60
	// inDaylight says that a time was moved for daylight saving, by how much
	// nobody says.
	inDaylight = 0x02
	// The years that EFI_TIME may have.
	minYear, maxYear = 1900, 9999
)

// parseTime reads an EFI_TIME that stands for a point in time. The one with all
// bytes zero is the zero time.Time.
func parseTime(b []byte) (time.Time, error) {
	if isZero(b) {
		return time.Time{}, nil
	}
	s := stampOf(b)
	t, err := s.Time()
	nanosecond := binary.LittleEndian.Uint32(b[8:])
	zone := int(int16(binary.LittleEndian.Uint16(b[12:])))
	switch {
	case err != nil:
		return time.Time{}, err
	case nanosecond > 999_999_999:
		return time.Time{}, fmt.Errorf("reading the time %s: %d nanoseconds", s, nanosecond)
	case zone != unspecifiedZone && (zone < -maxZone || zone > maxZone):
		return time.Time{}, fmt.Errorf("reading the time %s: a time zone of %d minutes", s, zone)
	case b[14]&inDaylight != 0 || b[14] > 3:
		return time.Time{}, fmt.Errorf("reading the time %s: daylight saving %#02x leaves open which hour it is", s, b[14])
	case b[7] != 0 || b[15] != 0:
		return time.Time{}, fmt.Errorf("reading the time %s: its padding is not zero", s)
	}
	if zone == unspecifiedZone {
		zone = 0
	}
	return t.Add(time.Duration(nanosecond) + time.Duration(zone)*time.Minute), nil
}

// Stamp is the time of an update. Firmware compares it field by field with that
// of the last update and never asks a calendar, and sbvarsign 0.9.4 counts
// months from 0: there is a month 0 (in January) and a 31st of February.
type Stamp struct {
	Year                             uint16
	Month, Day, Hour, Minute, Second uint8
}

// NewStamp returns the stamp of t in UTC, without fractions of a second. Years
// that a stamp does not reach are moved to the nearest that it does.
func NewStamp(t time.Time) Stamp {
	t = t.UTC()
	return Stamp{
		uint16(min(max(t.Year(), minYear), maxYear)), uint8(t.Month()), uint8(t.Day()),
		uint8(t.Hour()), uint8(t.Minute()), uint8(t.Second()),
	}
}

// String returns the fields as they are: "2020-00-15 12:34:56".
func (s Stamp) String() string {
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", s.Year, s.Month, s.Day, s.Hour, s.Minute, s.Second)
}

// Time returns the point in time that s names, in UTC. It fails if the calendar
// has no such day, or the day no such second.
func (s Stamp) Time() (time.Time, error) {
	t := time.Date(int(s.Year), time.Month(s.Month), int(s.Day), int(s.Hour), int(s.Minute), int(s.Second), 0, time.UTC)
	// time.Date carries what is out of range into the next field.
	if s.Year < minYear || s.Year > maxYear || NewStamp(t) != s {
		return time.Time{}, fmt.Errorf("reading the time %s: the calendar has none such", s)
	}
	return t, nil
}

// stampOf takes the fields of an EFI_TIME that a stamp has.
func stampOf(b []byte) Stamp {
	return Stamp{binary.LittleEndian.Uint16(b), b[2], b[3], b[4], b[5], b[6]}
}

// parseStamp reads the EFI_TIME of an update, whose other fields are zero, or
// firmware refuses it.
func parseStamp(b []byte) (Stamp, error) {
	s := stampOf(b)
	switch {
	case b[7] != 0 || !isZero(b[8:timeSize]):
		return Stamp{}, errors.New("its time has fields other than date and time, which must be zero")
	case s == Stamp{}:
		return s, nil
	case s.Year < minYear || s.Year > maxYear || s.Month > 12 || s.Day < 1 || s.Day > 31 ||
		s.Hour > 23 || s.Minute > 59 || s.Second > 59:
		return Stamp{}, fmt.Errorf("its time %s is none", s)
	}
	return s, nil
}

func (s Stamp) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, s.Year)
	b = append(b, s.Month, s.Day, s.Hour, s.Minute, s.Second)
	return append(b, make([]byte, timeSize-7)...)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
