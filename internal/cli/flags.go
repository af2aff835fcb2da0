package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/hint"
)

// choice checks that value is one of the words that a flag takes.
func choice[T ~string](flag, value string, words ...T) (T, error) {
	var known []string
	for _, w := range words {
		if string(w) == value {
			return w, nil
		}
		known = append(known, string(w))
	}
	return "", usagef("choose "+strings.Join(known, " or "), "%s does not take %q", flag, value)
}

// complete names the words that a shell offers for a flag.
func complete(c *cobra.Command, flag string, words ...string) {
	// The only error is an unknown flag, which the tests of completion see.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// epoch reads SOURCE_DATE_EPOCH (reproducible-builds.org), or returns nil.
func (env *Env) epoch() (*time.Time, error) {
	text := env.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return nil, hint.Wrap(fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is no time", text), "give seconds since 1970, or unset it")
	}
	t := time.Unix(seconds, 0).UTC()
	return &t, nil
}
