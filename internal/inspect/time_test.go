package inspect_test

import (
	"encoding/json"
	"testing"
	"time"

	"inlay/internal/inspect"
)

func TestTimeInJSON(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		`"2023-11-14T22:13:20.5Z"`: time.Unix(1_700_000_000, 500_000_000),
		`"1969-12-31T23:59:59Z"`:   time.Unix(-1, 0),
		`"36812-02-20T00:36:16Z"`:  time.Unix(1<<40, 0),
	} {
		got, err := json.Marshal(inspect.File{MTime: inspect.Time{Time: at.UTC()}})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(got, &fields); err != nil {
			t.Fatal(err)
		}
		if string(fields["mtime"]) != want {
			t.Errorf("got %s, want %s", fields["mtime"], want)
		}
	}
}
