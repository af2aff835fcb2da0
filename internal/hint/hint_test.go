package hint_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
)

func TestOf(t *testing.T) {
	t.Parallel()
	bare := errors.New("it is broken")
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"none":            {bare, nil},
		"no error":        {nil, nil},
		"one":             {hint.Wrap(bare, "mend it"), []string{"mend it"}},
		"below a wrap":    {fmt.Errorf("looking: %w", hint.Wrap(bare, "mend it")), []string{"mend it"}},
		"two":             {hint.Wrap(fmt.Errorf("looking: %w", hint.Wrap(bare, "mend it")), "look away"), []string{"look away", "mend it"}},
		"default":         {hint.Default(bare, "think"), []string{"think"}},
		"default unasked": {hint.Default(fmt.Errorf("looking: %w", hint.Wrap(bare, "mend it")), "think"), []string{"mend it"}},
		"default of none": {hint.Default(nil, "think"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, hint.Of(c.err)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.err != nil && !errors.Is(c.err, bare) {
				t.Error("the cause is lost")
			}
		})
	}
}
