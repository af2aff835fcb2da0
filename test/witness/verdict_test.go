package witness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// verdict is what "inlay verify --json" says of one image.
type verdict struct {
	Path       string `json:"path"`
	Result     string `json:"result"`
	Protection string `json:"protection"`
	RootHash   string `json:"rootHash"`
	FileSystem string `json:"fileSystem"`
	Signer     *struct {
		Subject string `json:"subject"`
		Anchor  string `json:"anchor"`
		Trusted bool   `json:"trusted"`
	} `json:"signer"`
	Refusal *struct {
		Check  string   `json:"check"`
		Reason string   `json:"reason"`
		Hints  []string `json:"hints"`
	} `json:"refusal"`
}

// verdicts is what a run of "inlay verify --json" says.
type verdicts struct {
	code    int
	stderr  string
	Trusted []struct {
		Subject string `json:"subject"`
		Origin  string `json:"origin"`
	} `json:"trusted"`
	Problems []struct {
		Origin string `json:"origin"`
		Text   string `json:"text"`
	} `json:"problems"`
	Images []verdict `json:"images"`
}

// verify runs "inlay verify --json" and returns what it says of its images. A
// run that ends in an error prints no verdicts.
func verify(t *testing.T, args ...string) verdicts {
	t.Helper()
	c := exec.CommandContext(t.Context(), inlay, append([]string{"verify", "--json"}, args...)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	v := verdicts{stderr: stderr.String()}
	if failed {
		v.code = exit.ExitCode()
	}
	if stdout.Len() == 0 {
		return v
	}
	if v.stderr != "" {
		t.Errorf("beside the verdict, standard error says %q", v.stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	return v
}

// Exit codes of "inlay verify".
const (
	codeGood    = 0
	codeFailed  = 1
	codeUsage   = 2
	codeRefused = 3
	codeMissing = 4
)

// wantRefused checks that the one image was refused by check, for a reason that
// holds the words, with advice and exit code 3.
func (v verdicts) wantRefused(t *testing.T, check, words string) {
	t.Helper()
	if v.code != codeRefused || len(v.Images) != 1 || v.Images[0].Result != "refused" || v.Images[0].Refusal == nil {
		t.Fatalf("want it refused by %s with code %d, have %s", check, codeRefused, v)
	}
	r := v.Images[0].Refusal
	if r.Check != check || !strings.Contains(r.Reason, words) {
		t.Errorf("want it refused by %s with %q, have %s", check, words, v)
	}
	if len(r.Hints) == 0 || strings.ContainsAny(r.Reason, "\n\x00") || strings.Contains(r.Reason, "%!") {
		t.Errorf("nobody can act on %s", v)
	}
	if v.Images[0].Protection != "unprotected" || v.Images[0].Signer != nil && v.Images[0].Signer.Trusted && check == "signature" {
		t.Errorf("a refused image with the protection %q and the signer %+v", v.Images[0].Protection, v.Images[0].Signer)
	}
}

// wantSigned checks that the one image is good and signed by the subject.
func (v verdicts) wantSigned(t *testing.T, subject string) {
	t.Helper()
	if v.code != codeGood || len(v.Images) != 1 || v.Images[0].Result != "good" || v.Images[0].Refusal != nil {
		t.Fatalf("want it good, have %s", v)
	}
	im := v.Images[0]
	if im.Protection != "signed" || im.Signer == nil || im.Signer.Subject != subject || !im.Signer.Trusted || im.Signer.Anchor == "" {
		t.Errorf("want it signed by %s, have %s", subject, v)
	}
}

// wantProblem checks that a problem holds the words; "" wants no problem at all.
func (v verdicts) wantProblem(t *testing.T, words string) {
	t.Helper()
	said := fmt.Sprint(v.Problems)
	if words == "" && len(v.Problems) > 0 || !strings.Contains(said, words) {
		t.Errorf("want the problem %q, have %s", words, said)
	}
}

func (v verdicts) String() string {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return "exit status " + string(rune('0'+v.code)) + "\n" + v.stderr + string(text)
}
