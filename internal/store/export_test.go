package store

// Before returns options by which before is asked ahead of every call that
// changes the disk; its error is the call's. A lazy disk is not told to write
// through.
func Before(before func(call, name string) error, lazy bool) Options {
	return Options{disk: disk{before: before, lazy: lazy}}
}

// Strict returns what a reader of JSON files of the store makes of text.
func Strict(text []byte) (record *Record, recordErr, journalErr error) {
	record, recordErr = parseRecord(text)
	_, journalErr = parseJournal(text)
	return record, recordErr, journalErr
}

// JournalSteps returns how many steps a journal has, or its error.
func JournalSteps(text []byte) (int, error) {
	j, err := parseJournal(text)
	if err != nil {
		return 0, err
	}
	return len(j.Steps), nil
}

// SpareSize is what a journal may take on a full disk.
const SpareSize = spareSize
