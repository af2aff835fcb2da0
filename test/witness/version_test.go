package witness_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
)

// compareScript runs the program that its first arguments up to "--" name on
// each later group of arguments, and prints each output and exit status. A group
// ends with the word END.
const compareScript = `
program=
while [ "$1" != -- ]; do program="$program $1"; shift; done
shift
export SYSTEMD_LOG_LEVEL=err
while [ $# -gt 0 ]; do
  a=$1 b=$2 c=$3
  if [ "$3" = END ]; then
    shift 3
    $program -- "$a" "$b" 2>/dev/null && status=0 || status=$?
  else
    shift 4
    $program -- "$a" "$b" "$c" 2>/dev/null && status=0 || status=$?
  fi
  echo "status $status"
done
`

// TestVersionCompareAsSystemd has inlay and systemd-analyze 257 print and end
// alike, with and without an operator.
func TestVersionCompareAsSystemd(t *testing.T) {
	t.Parallel()
	var groups []string
	pairs := [][2]string{
		{"1", "1"},
		{"2", "1"},
		{"1", "2"},
		{"", ""},
		{"", "0"},
		{"~", ""},
		{"1.30~rc1", "1.30"},
		{"1.2.3-rc1", "1.2.3"},
		{"-1", "1"},
		{"1_2_3", "1.3.3"},
		{"11α", "11β"},
		{"a b", "it's"},
		{"123^post1", "123.a-1"},
		{"00", "0"},
		{"--json", "lt"},
	}
	for _, p := range pairs {
		groups = append(groups, p[0], p[1], "END")
	}
	for _, operator := range []string{"lt", "<", "le", "<=", "eq", "==", "=", "ne", "!=", "<>", "ge", ">=", "gt", ">"} {
		for _, p := range pairs[:4] {
			groups = append(groups, p[0], operator, p[1], "END")
		}
	}
	run := func(program ...string) string {
		argv := append([]string{"sh", "-euc", compareScript, "compare.sh"}, program...)
		return debian.Tools(t).Run(t, map[string]string{inlay: "/inlay"}, append(append(argv, "--"), groups...)...)
	}
	theirs, ours := run("systemd-analyze", "compare-versions"), run("/inlay", "version", "compare")
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("the answers (-systemd +inlay):\n%s", diff)
	}
	if got, want := strings.Count(theirs, "status "), len(pairs)+14*4; got != want {
		t.Errorf("systemd gave %d answers, want %d", got, want)
	}
	for _, want := range []string{"status 0\n", "status 1\n", "status 11\n", "status 12\n", "'' == ''\n"} {
		if !strings.Contains(theirs, want) {
			t.Errorf("systemd's answers lack %q", want)
		}
	}
}
