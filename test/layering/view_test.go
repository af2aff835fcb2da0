package layering_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"inlay/test/layering/scene"
)

// view is what is seen after a step, without what is another each time.
type view struct {
	Done      []string
	Exit      int
	Said      []string
	Text      string // of verbs that only tell
	Status    []statusRow
	List      []listRow
	Mounts    []mountRow
	Tree      []string
	Origin    map[string]any // by the paths of markers
	Untouched bool
	Unclear   []string // what could not be read
}

type statusRow struct {
	Hierarchy  string
	Extensions []string
	Since      bool
	// Word is what stands for a list that is none.
	Word string
}

type listRow struct{ Name, Type, Path, Time string }

type mountRow struct {
	Point, Root, Type, Source, Flags string
	// Layers are the overlay's, Upper is where is written; Options are the rest.
	Layers  int
	Upper   string
	Work    string
	Options string
}

// spoken are the lines of a merge's log that say what was done.
var spoken = regexp.MustCompile(`(?m)^(Using extensions .*|Merged extensions into .*|Unmerged .*|Skipping extension refresh .*|No suitable extensions found .*|No extensions found\.)$`)

// look makes the view of a step.
func look(c spec, s scene.Step, seen scene.Seen) view {
	v := view{Done: seen.Done, Exit: seen.Exit, Said: []string{}, Origin: map[string]any{}, Untouched: seen.Untouched}
	for _, line := range spoken.FindAllString(seen.Stderr, -1) {
		if names, ok := strings.CutPrefix(line, "Using extensions "); ok { // by what they, or their links' targets, are called
			line = fmt.Sprintf("Using %d extensions", len(strings.Split(names, "', '")))
		}
		v.Said = append(v.Said, line)
	}
	slices.Sort(v.Said)
	if v.Exit != 0 { // how far it came is another matter
		v.Said = nil
	}
	verb := s.Run[len(s.Run)-1]
	if verb == "refresh" { // what is unmerged only to be merged again
		v.Said = slices.DeleteFunc(v.Said, func(line string) bool { return strings.HasPrefix(line, "Unmerged ") })
	}
	if !slices.Contains([]string{"merge", "unmerge", "refresh"}, verb) {
		v.Text = times.ReplaceAllString(seen.Stdout, "TIME")
	}
	v.status(seen.Status)
	if c.list {
		v.list(seen.List)
	}
	for n, m := range seen.Mounts {
		if slices.ContainsFunc(seen.Mounts[n+1:], func(later scene.Mount) bool { return later.Point == m.Point }) {
			continue // nobody sees it
		}
		v.Mounts = append(v.Mounts, mountOf(m))
	}
	slices.SortFunc(v.Mounts, func(a, b mountRow) int {
		return cmp.Or(strings.Compare(a.Point, b.Point), strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	v.tree(c, seen.Tree)
	return v
}

// devices are the numbers of those behind a hierarchy.
var devices = regexp.MustCompile(`(/\.systemd-[a-z]+/backing =) "7:\d+\\n"$`)

// times are points in time, of which only that they are there is the same.
var times = regexp.MustCompile(`[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\b\d{16}\b`)

func (v *view) status(text string) {
	var rows []struct {
		Hierarchy  string          `json:"hierarchy"`
		Extensions json.RawMessage `json:"extensions"`
		Since      *uint64         `json:"since"`
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		text, _, _ = strings.Cut(text, ":")
		v.Unclear = append(v.Unclear, "status: "+text)
		return
	}
	for _, r := range rows {
		row := statusRow{Hierarchy: r.Hierarchy, Since: r.Since != nil}
		if err := json.Unmarshal(r.Extensions, &row.Extensions); err != nil {
			_ = json.Unmarshal(r.Extensions, &row.Word)
		}
		v.Status = append(v.Status, row)
	}
}

func (v *view) list(text string) {
	var rows []struct {
		Name, Type, Path string
		Time             *uint64
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		v.Unclear = append(v.Unclear, "list: "+text)
		return
	}
	for _, r := range rows {
		row := listRow{Name: r.Name, Type: r.Type, Path: r.Path, Time: "none"}
		switch {
		case r.Time == nil:
		case r.Type == "raw": // it is that of the last change, which is ours to set
			row.Time = strconv.FormatUint(*r.Time, 10)
		default:
			row.Time = "some"
		}
		v.List = append(v.List, row)
	}
}

func mountOf(m scene.Mount) mountRow {
	flags := slices.DeleteFunc(strings.Split(m.Flags, ","), func(f string) bool { return f == "relatime" })
	slices.Sort(flags)
	row := mountRow{Point: m.Point, Root: m.Root, Type: m.Type, Source: m.Source, Flags: strings.Join(flags, ",")}
	if m.Type == "btrfs" || m.Type == "ext4" {
		row.Source = "a device"
	}
	var options []string
	for _, o := range splitOptions(m.Super) {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "lowerdir", "lowerdir+":
			row.Layers += len(splitLayers(value))
		case "upperdir":
			row.Upper = placeOf(value)
		case "workdir":
			row.Work = placeOf(value)
		case "uuid": // the kernel's own choice
		default:
			options = append(options, o)
		}
	}
	if m.Type == "overlay" {
		slices.Sort(options)
		row.Options = strings.Join(options, ",")
	}
	return row
}

// splitOptions splits at commas that have no backslash before them.
func splitOptions(text string) []string { return splitAt(text, ',') }

// splitLayers splits at colons that have no backslash before them.
func splitLayers(text string) []string { return splitAt(text, ':') }

func splitAt(text string, at byte) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case at:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// placeOf says where a layer that is written to lies: below the system's root, or
// in memory that goes with the merge.
func placeOf(at string) string {
	if below, ok := strings.CutPrefix(at, scene.Root+"/"); ok {
		return "/" + below
	}
	if strings.Contains(at, "extensions.mutable") {
		return at
	}
	return "in memory"
}

// tree takes out of the tree what is another each time: the origins of merges.
func (v *view) tree(c spec, lines []string) {
	for _, line := range lines {
		before, text, ok := strings.Cut(line, "/.systemd-"+c.kind()+"/origin = ")
		if !ok {
			v.Tree = append(v.Tree, devices.ReplaceAllString(line, "$1 a device"))
			continue
		}
		origin := map[string]any{}
		unquoted, err := strconv.Unquote(text)
		if err == nil {
			err = json.Unmarshal([]byte(unquoted), &origin)
		}
		if err != nil {
			v.Unclear = append(v.Unclear, line)
			continue
		}
		for name, e := range sub(origin, "extensions") {
			e, ok := e.(map[string]any)
			if !ok {
				v.Unclear = append(v.Unclear, name+": "+text)
			}
			for key := range maps.Keys(e) {
				if key != "path" && (key != "mtime" || e[key] != float64(0)) {
					e[key] = "some"
				}
			}
		}
		v.Origin[path.Base(before)] = origin
	}
}

func sub(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	return s
}
