package trial_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/trial"
)

var (
	old  = trial.Image{FileName: "k3s.sysext.raw", ID: "old"}
	next = trial.Image{FileName: "k3s.sysext.raw", ID: "new"}
	now  = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
)

func wanted(string) bool { return true }

// TestTrial walks one image through boots: a letter is a boot, g marks the last one
// good, r repeats the step in the same boot.
func TestTrial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		steps string
		want  string // left after each boot; x is spent, - no trial
	}{
		{"three boots and no more", "bbbbb", "210xx"},
		{"good after the first", "bgbbbb", "2----"},
		{"good after the last", "bbbgb", "210-"},
		{"a second step in one boot", "brrbrr", "222111"},
		{"the last boot's second step", "bbbrb", "2100x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &trial.State{}
			var got strings.Builder
			boot := 0
			for _, step := range test.steps {
				switch step {
				case 'g':
					s.Good("active", []trial.Image{next}, wanted, now)
					continue
				case 'b':
					boot++
				}
				try, spent := s.Begin("active", next, 3, strings.Repeat("i", boot), now)
				switch {
				case spent:
					got.WriteByte('x')
				case try == nil:
					got.WriteByte('-')
				default:
					got.WriteByte('0' + byte(try.Left()))
				}
			}
			if got.String() != test.want {
				t.Errorf("boots went %q, want %q", &got, test.want)
			}
		})
	}
}

func TestAnotherImage(t *testing.T) {
	t.Parallel()
	s := &trial.State{}
	s.Good("active", []trial.Image{old}, wanted, now)
	if try, _ := s.Begin("active", old, 3, "1", now); try != nil {
		t.Errorf("the good image is on trial: %+v", try)
	}
	for boot, left := range map[string]int{"2": 2} {
		if try, spent := s.Begin("active", next, 3, boot, now); try == nil || spent || try.Left() != left {
			t.Errorf("the new image has trial %+v, spent %v", try, spent)
		}
	}
	if !s.Trusted("active", old) {
		t.Error("the good image counts no longer, though no other boot was good")
	}
	if try, _ := s.Begin("passive", old, 3, "3", now); try == nil {
		t.Error("what was good in one profile is good in another")
	}
	s.Good("active", []trial.Image{next}, wanted, now)
	if s.Trusted("active", old) || !s.Trusted("active", next) {
		t.Error("a good boot did not take the place of the one before")
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := &trial.State{}
	for range 4 {
		s.Begin("active", next, 3, "", now)
	}
	if _, spent := s.Begin("active", next, 3, "", now); !spent {
		t.Fatal("not spent after four boots")
	}
	if !s.Forget(next.FileName) {
		t.Error("nothing was forgotten")
	}
	if try, spent := s.Begin("active", next, 3, "", now); spent || try.Left() != 2 {
		t.Errorf("after it was forgotten: %+v, spent %v", try, spent)
	}
}

func TestGoodDropsTheUnwanted(t *testing.T) {
	t.Parallel()
	s := &trial.State{}
	other := trial.Image{FileName: "other.raw", ID: "1"}
	s.Begin("active", next, 3, "1", now)
	s.Begin("active", other, 3, "1", now)
	s.Good("active", nil, func(name string) bool { return name == other.FileName }, now)
	if got := s.Profiles["active"].Tried; len(got) != 1 || got[0].Image != other {
		t.Errorf("trials %+v remain", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	s := &trial.State{}
	s.Begin("active", next, 3, "1", now)
	s.Good("passive", []trial.Image{old}, wanted, now)
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := trial.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("read back (-wrote +read):\n%s", diff)
	}
	if s, err := trial.Parse(nil); err != nil || len(s.Profiles) != 0 {
		t.Errorf("nothing reads as %+v, %v", s, err)
	}
	for name, text := range map[string]string{
		"not JSON":         "k3s",
		"another version":  `{"version":2}`,
		"unknown field":    `{"version":1,"more":1}`,
		"rubbish behind":   `{"version":1}{}`,
		"no profile":       `{"version":1,"profiles":{"active":null}}`,
		"a negative count": `{"version":1,"profiles":{"active":{"tried":[{"fileName":"a","id":"b","boots":-1,"of":3,"last":"2026-01-01T00:00:00Z"}]}}}`,
		"too long":         strings.Repeat(" ", trial.MaxSize+1),
	} {
		if s, err := trial.Parse([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"profiles":{"active":{"good":[{"fileName":"a","id":"b"}],"tried":[{"fileName":"a","id":"c","boots":1,"of":3,"last":"2026-01-01T00:00:00Z","boot":"x"}]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := trial.Parse(text)
		if err != nil {
			return
		}
		again, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trial.Parse(again); err != nil && len(again) <= trial.MaxSize {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		s.Begin("active", next, 3, "", now)
		s.Good("active", nil, wanted, now)
	})
}
