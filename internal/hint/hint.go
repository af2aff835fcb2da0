// Package hint lets an error carry what its reader can do next. Whoever finds
// the fault knows the mend best; the face prints both.
package hint

import "errors"

// hinted is an error with one piece of advice.
type hinted struct {
	err    error
	advice string
}

func (h *hinted) Error() string { return h.err.Error() }

func (h *hinted) Unwrap() error { return h.err }

// Wrap adds advice to err: one imperative sentence, lower case, no full stop.
// It returns nil for a nil err.
func Wrap(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &hinted{err: err, advice: advice}
}

// Default adds advice to err unless err has some already: whoever was closer to
// the fault knew better.
func Default(err error, advice string) error {
	if len(Of(err)) > 0 {
		return err
	}
	return Wrap(err, advice)
}

// Of returns the advice that err and the errors it wraps carry, outermost first.
func Of(err error) []string {
	var advice []string
	for err != nil {
		h, ok := errors.AsType[*hinted](err)
		if !ok {
			break
		}
		advice = append(advice, h.advice)
		err = h.err
	}
	return advice
}
