//go:build bench

package bench_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"inlay/test/debian"
)

// agent is the parent's end of the line.
type agent struct {
	in  *json.Encoder
	out *json.Decoder
}

// startAgent starts one inside root, where binds appear: paths as here, by what
// they are there ("" is the same). It ends with the test.
func startAgent(t *testing.T, root *debian.Root, binds map[string]string) *agent {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binds[filepath.Dir(self)] = "/agent"
	c := root.Command(t.Context(), t, binds, "/agent/"+filepath.Base(self))
	c.Env = append(c.Env, agentVariable+"=1")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		c.Wait()
	})
	return &agent{json.NewEncoder(in), json.NewDecoder(out)}
}

// do has a job done that must succeed.
func (a *agent) do(t *testing.T, j job) run {
	t.Helper()
	var r run
	if err := a.in.Encode(j); err != nil {
		t.Fatal(err)
	}
	if err := a.out.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Failure != "" {
		t.Fatal(r.Failure)
	}
	return r
}

// clean removes what a job left.
func (a *agent) clean(t *testing.T, j job) {
	t.Helper()
	a.do(t, job{Folder: j.Folder, Clean: true})
}

// try has a job done that may fail.
func (a *agent) try(t *testing.T, j job) (r run) {
	t.Helper()
	if err := errors.Join(a.in.Encode(j), a.out.Decode(&r)); err != nil {
		t.Fatal(err)
	}
	return r
}
