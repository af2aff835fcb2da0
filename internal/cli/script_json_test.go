package cli_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdJSONPath is "[!] jsonpath FILE PATH [VALUE]": the JSON in FILE (or stdout,
// stderr) has VALUE at PATH, or anything if no VALUE is given. PATH is keys and
// selectors: "counts.files", "mounts[0].size", "files[path=/usr].mode". VALUE is
// the text of a string, or JSON for all else; between slashes it is a regular
// expression.
func cmdJSONPath(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: jsonpath FILE PATH [VALUE]")
	}
	v, err := lookUp(decodeJSON(ts, args[0]), args[1])
	if err != nil {
		if !neg {
			ts.Fatalf("%v", err)
		}
		return
	}
	got := textOf(v)
	if len(args) == 2 {
		if neg {
			ts.Fatalf("%s is there: %s", args[1], got)
		}
		return
	}
	matches := got == args[2]
	if len(args[2]) > 2 && strings.HasPrefix(args[2], "/") && strings.HasSuffix(args[2], "/") {
		matches, err = regexp.MatchString(args[2][1:len(args[2])-1], got)
		ts.Check(err)
	}
	if matches == neg {
		ts.Fatalf("%s is %s", args[1], got)
	}
}

// cmdJSONKeys is "jsonkeys FILE": it writes the paths of all keys, each once,
// so that a script can compare them with what programs rely on.
func cmdJSONKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonkeys FILE")
	}
	keys := map[string]bool{}
	collectKeys(decodeJSON(ts, args[0]), "", keys)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		_, err := fmt.Fprintln(ts.Stdout(), k)
		ts.Check(err)
	}
}

func decodeJSON(ts *testscript.TestScript, file string) any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	d.UseNumber()
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one JSON value", file)
	}
	return v
}

func collectKeys(v any, path string, keys map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			keys[path+k] = true
			collectKeys(child, path+k+".", keys)
		}
	case []any:
		for _, child := range v {
			collectKeys(child, path, keys)
		}
	}
}

// lookUp follows path into v.
func lookUp(v any, path string) (any, error) {
	for path != "" {
		var step string
		if rest, found := strings.CutPrefix(path, "["); found {
			step, path, _ = strings.Cut(rest, "]")
			list, ok := v.([]any)
			if !ok {
				return nil, fmt.Errorf("[%s]: %s is no list", step, textOf(v))
			}
			if v, ok = element(list, step); !ok {
				return nil, fmt.Errorf("[%s]: no such element in %s", step, textOf(list))
			}
		} else {
			end := strings.IndexAny(path+".", ".[")
			step, path = path[:end], path[end:]
			object, ok := v.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%s: %s is no object", step, textOf(v))
			}
			if v, ok = object[step]; !ok {
				return nil, fmt.Errorf("%s: no such key in %s", step, textOf(object))
			}
		}
		path = strings.TrimPrefix(path, ".")
	}
	return v, nil
}

// element is the one at an index, or the first object with KEY=VALUE.
func element(list []any, selector string) (any, bool) {
	key, value, isPair := strings.Cut(selector, "=")
	if !isPair {
		i, err := strconv.Atoi(selector)
		if err != nil || i >= len(list) {
			return nil, false
		}
		return list[i], true
	}
	for _, candidate := range list {
		if object, ok := candidate.(map[string]any); ok && textOf(object[key]) == value {
			return object, true
		}
	}
	return nil, false
}

func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	var v any
	if err := json.Unmarshal([]byte(`{"a":{"b":[{"k":"x","n":1},{"k":"y/z.w","n":2}]}}`), &v); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a.b[0].n": "1", "a.b[k=y/z.w].n": "2", "a.b[1].k": "y/z.w", "a.c": "", "a.b[2]": "", "a.b[k=q]": "", "a.b.k": "",
	} {
		got, err := lookUp(v, path)
		if (err != nil) != (want == "") || err == nil && textOf(got) != want {
			t.Errorf("%s: got %v, %v, want %q", path, got, err, want)
		}
	}
}
