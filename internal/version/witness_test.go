package version_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"inlay/internal/version"
	"inlay/test/debian"
)

// compareScript compares its arguments two by two, and prints an exit status a line.
const compareScript = `
export SYSTEMD_LOG_LEVEL=err
while [ $# -gt 0 ]; do
  systemd-analyze compare-versions -- "$1" "$2" >/dev/null && status=0 || status=$?
  echo $status
  shift 2
done
`

// TestCompareAsSystemd has systemd 257 compare what the other tests compare,
// and pairs made by chance.
func TestCompareAsSystemd(t *testing.T) {
	t.Parallel()
	argv := []string{"sh", "-euc", compareScript, "compare.sh"}
	for _, e := range examples() {
		argv = append(argv, e.a, e.b)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		a := randomVersion(chance)
		argv = append(argv, a, neighbour(chance, a))
	}
	pairs := argv[4:]
	seen := map[int]int{}
	for line := range strings.Lines(debian.Tools(t).Run(t, nil, argv...)) {
		a, b := pairs[0], pairs[1]
		pairs = pairs[2:]
		want, known := map[string]int{"0": 0, "11": 1, "12": -1}[strings.TrimSpace(line)]
		if got := version.Compare(a, b); !known || got != want {
			t.Errorf("Compare(%q, %q) = %d, systemd-analyze ends with %q", a, b, got, line)
		}
		seen[want]++
	}
	if len(pairs) > 0 {
		t.Errorf("%d pairs were not compared", len(pairs)/2)
	}
	for _, order := range []int{-1, 0, 1} {
		if seen[order] < 30 {
			t.Errorf("only %d pairs have the order %d", seen[order], order)
		}
	}
}

// randomVersion makes a text out of what decides. Nothing in it lies above
// ASCII: behind a tilde the answer to that depends on the machine.
func randomVersion(chance *rand.Rand) string {
	pieces := []string{"0", "00", "1", "1", "2", "10", "a", "b", "rc", "B", ".", ".", "-", "~", "^", "_", "+", " "}
	var b strings.Builder
	for range chance.IntN(8) {
		b.WriteString(pieces[chance.IntN(len(pieces))])
	}
	return b.String()
}

// neighbour makes a text that shares its beginning or its end with a, so that
// the order isn't always that of the first bytes.
func neighbour(chance *rand.Rand, a string) string {
	at := chance.IntN(len(a) + 1)
	if chance.IntN(2) == 0 {
		return a[:at] + randomVersion(chance)
	}
	return a[:at] + randomVersion(chance) + a[at:]
}
