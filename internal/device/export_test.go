package device

import "golang.org/x/sys/unix"

// What the tests read of answers and tables.
var (
	ParseTargets = parseTargets
	ParseNames   = parseNames
	ParseActive  = parseActive
	CheckName    = checkName
)

// Target is a line of a table.
type Target = target

// EncodeRequest is request.encode for a device of a name.
func EncodeRequest(name, uuid string, data []byte, size int) []byte {
	return request{name: name, uuid: uuid, data: data}.encode(size)
}

// ParseAnswer is parseAnswer, with what there is to see of it.
func ParseAnswer(b []byte) (name, uuid string, flags uint32, data []byte, err error) {
	a, err := parseAnswer(b)
	if err != nil {
		return "", "", 0, nil, err
	}
	return a.name, a.uuid, a.flags, a.data, nil
}

// NewTarget returns a line of a table.
func NewTarget(length uint64, kind, text string) Target {
	return target{length: length, kind: kind, text: text}
}

// Text returns the kind and the text of t.
func (t target) Text() string { return t.kind + " " + t.text }

// Lax returns the option that gives out what was not checked.
func (a active) Lax() string { return a.lax }

// Line returns the text of the table's only line.
func (t VerityTable) Line(key string) string { return t.target(key).text }

// Check is check.
func (t VerityTable) Check() error { return t.check() }

// Verify puts a status together from what was answered and holds it against t.
func Verify(t VerityTable, readOnly bool, line Target, info string) (*Status, error) {
	a := &answer{name: "x", flags: unix.DM_DEFERRED_REMOVE}
	if readOnly {
		a.flags |= unix.DM_READONLY_FLAG
	}
	s, err := newStatus(a, line, target{text: info})
	if err != nil {
		return nil, err
	}
	return s, s.shows(t)
}

// OpenPrivate opens the node that gives out loop devices on a private file
// system of the type.
func OpenPrivate(fsType string) (int, error) {
	return node{"loop-control", unix.S_IFCHR, Number{miscMajor, loopControl}}.openPrivate(fsType, unix.O_RDWR)
}
