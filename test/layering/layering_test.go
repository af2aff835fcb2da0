package layering_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/layering/scene"
)

var (
	update = flag.Bool("update", false, "write testdata/outcomes.txt anew")
	only   = flag.String("only", "", "play only the cases whose titles have this in them")
	alone  = flag.Bool("systemd", false, "compare only systemd with systemd")
)

const outcomesFile = "testdata/outcomes.txt"

// everybody stands for all three in that file.
const everybody = "all"

// cases are all of them, by rule.
func cases() []spec {
	list := slices.Concat(findCases(), versionCases(), releaseCases(), matchCases(), failCases(), overlayCases(), markerCases(), mutableCases(), outputCases())
	slices.SortStableFunc(list, func(a, b spec) int { return strings.Compare(a.rule, b.rule) })
	return list
}

// TestEnoughCases: every rule is tested by several, and every row and difference
// by one.
func TestEnoughCases(t *testing.T) {
	t.Parallel()
	rules, titles, named := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, c := range cases() {
		rules[c.rule]++
		named[c.newer], named[c.ours] = true, true
		if titles[c.title()] {
			t.Errorf("two cases are called %q", c.title())
		}
		titles[c.title()] = true
		if _, known := versions()[c.newer]; c.newer != "" && !known {
			t.Errorf("%s names an unknown row of versions: %q", c.title(), c.newer)
		}
		if c.ours != "" && !slices.Contains(differences(), c.ours) {
			t.Errorf("%s names an unknown difference: %q", c.title(), c.ours)
		}
	}
	sections := map[string]bool{}
	for rule, n := range rules {
		sections[rule[:3]] = true
		if n < 5 {
			t.Errorf("rule %q is tested by %d cases", rule, n)
		}
	}
	if want := []string{"2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8"}; !slices.Equal(sortedKeys(sections), want) {
		t.Errorf("sections %q", sortedKeys(sections))
	}
	for name, v := range versions() {
		if v.age == nil && !named[name] {
			t.Errorf("no case tests the row of versions %q", name)
		}
	}
	for _, name := range differences() {
		if !named[name] {
			t.Errorf("no case tests the difference %q", name)
		}
	}
	if len(titles) < 150 {
		t.Errorf("only %d cases", len(titles))
	}
}

// TestAsSystemd plays every case with all three, and compares.
func TestAsSystemd(t *testing.T) {
	t.Parallel()
	list := slices.DeleteFunc(cases(), func(c spec) bool { return !strings.Contains(c.title(), *only) })
	older, newest, inlay := sides(t)
	folder := stage(t)
	answers := map[string]map[string]scene.Answer{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	players := []side{older, newest}
	if !*alone {
		players = append(players, inlay)
	}
	for _, s := range players {
		group.Go(func() {
			a := s.play(t, folder, list)
			mutex.Lock()
			defer mutex.Unlock()
			answers[s.name] = a
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	j := judge{t: t, known: read(t), now: map[string]string{}, used: map[string]bool{}, answers: answers}
	for _, c := range list {
		see := func(s side) []view {
			var views []view
			for n, seen := range answers[s.name][c.title()].Steps {
				views = append(views, look(c, c.play().Steps[n], seen))
			}
			return views
		}
		j.compare(c, newest, see(newest), older, see(older))
		if *alone {
			continue
		}
		j.compare(c, inlay, see(inlay), newest, see(newest))
	}
	t.Logf("%d cases, by systemd %d, systemd %d and inlay", len(list), older.version, newest.version)
	j.conclude(newest.version >= model)
}

// judge compares, and keeps what it has found.
type judge struct {
	t     *testing.T
	known map[string]string // outcomes, by who and the case's title
	now   map[string]string
	used  map[string]bool // rows of versions that made a difference
	// answers are by who and the case's title.
	answers map[string]map[string]scene.Answer
}

// logs are what programs said that did not end well.
func (j *judge) logs(c spec, sides ...side) string {
	var b strings.Builder
	for _, s := range sides {
		for n, seen := range j.answers[s.name][c.title()].Steps {
			if seen.Exit != 0 {
				fmt.Fprintf(&b, "  %d %s: %.400s\n", n+1, s.name, strings.TrimSpace(seen.Stderr))
			}
		}
	}
	return b.String()
}

// compare holds what one side shows to what an older one does.
func (j *judge) compare(c spec, newer side, a []view, older side, b []view) {
	t := j.t
	t.Helper()
	name := c.ours
	about := "the difference"
	if newer.name != "inlay" {
		name, about = c.newer, "the row of versions"
		if name != "" && older.version >= versions()[name].since {
			name = ""
		}
	}
	first, second := outcome(c, a), outcome(c, b)
	j.now[older.name+" | "+c.title()] = second
	j.now[newer.name+" | "+c.title()] = first
	if newer.name == "inlay" && c.says != "" {
		for _, s := range []side{newer, older} {
			if said := j.answers[s.name][c.title()].Steps[0].Stderr; strings.Contains(said, c.says) != (s.name == newer.name) {
				t.Errorf("%s: %s says %q", c.title(), s.name, said)
			}
		}
		if c.ours == saysWhy && differing(b, a) == "" {
			return
		}
	}
	for _, row := range sortedKeys(versions()) {
		if v := versions()[row]; v.age != nil && newer.version >= v.since && older.version < v.since {
			for n := range min(len(a), len(b)) {
				j.used[row] = v.age(c, &a[n], &b[n]) || j.used[row]
			}
		}
	}
	diff := differing(b, a)
	switch {
	case name == "" && diff != "":
		t.Errorf("%s (-%s +%s):\n%s%s", c.title(), older.name, newer.name, diff, j.logs(c, older, newer))
	case name != "" && diff == "":
		t.Errorf("%s: %s %q makes none between %s and %s", c.title(), about, name, older.name, newer.name)
	}
}

// conclude compares the outcomes with those that are known, or writes them. known
// says that they are those of the systemd that was asked.
func (j *judge) conclude(known bool) {
	t := j.t
	t.Helper()
	if *only != "" || *alone {
		for _, key := range sortedKeys(j.now) {
			t.Log(key, ":", j.now[key])
		}
		return
	}
	for row, v := range versions() {
		if v.age != nil && !j.used[row] {
			t.Errorf("the row of versions %q makes no difference", row)
		}
	}
	if *update {
		write(t, j.now)
		return
	}
	if diff := cmp.Diff(j.known, j.now); known && diff != "" {
		t.Errorf("outcomes (-known +now; -update writes them anew):\n%s", diff)
	}
}

// read reads the known outcomes.
func read(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(outcomesFile)
	if err != nil && !*update && !*alone {
		t.Fatal(err)
	}
	known := map[string]string{}
	title := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "  "); ok {
			who, what, _ := strings.Cut(rest, ": ")
			if who == everybody {
				who = "inlay, systemd-257, systemd-newest"
			}
			for name := range strings.SplitSeq(who, ", ") {
				known[name+" | "+title] = what
			}
		} else {
			title = line
		}
	}
	return known
}

// write writes the outcomes: a case's title, and below it who comes to what.
func write(t *testing.T, outcomes map[string]string) {
	t.Helper()
	by := map[string]map[string][]string{}
	for _, key := range sortedKeys(outcomes) {
		who, title, _ := strings.Cut(key, " | ")
		if by[title] == nil {
			by[title] = map[string][]string{}
		}
		by[title][outcomes[key]] = append(by[title][outcomes[key]], who)
	}
	var b strings.Builder
	for _, title := range sortedKeys(by) {
		b.WriteString(title + "\n")
		var lines []string
		for what, who := range by[title] {
			if len(by[title]) == 1 {
				who = []string{everybody}
			}
			lines = append(lines, "  "+strings.Join(who, ", ")+": "+what+"\n")
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outcomesFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
