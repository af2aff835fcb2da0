package gpt_test

import (
	"os/exec"
	"strings"
	"testing"

	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/test/need"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]gpt.Discoverable{
		"4f68bce3-e8cd-4db1-96e7-fbcaf984b709": {gpt.Root, gpt.Data, "x86-64"},
		"df3300ce-d69f-4c92-978c-9bfb0f38d820": {gpt.Root, gpt.Verity, "arm64"},
		"efe0f087-ea8d-4469-821a-4c2a96a8386a": {gpt.Root, gpt.Signature, "riscv64"},
		"8484680c-9521-48c6-9c11-b0720656f69e": {gpt.Usr, gpt.Data, "x86-64"},
		"ee2b9983-21e8-4153-86d9-b6901a54d1ce": {gpt.Usr, gpt.Verity, "ppc64-le"},
		"3f324816-667b-46ae-86ee-9b0c0c6c11b4": {gpt.Usr, gpt.Signature, "s390x"},
	} {
		g, err := guid.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, known := gpt.Lookup(g)
		if !known || got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
		if back, known := gpt.TypeOf(want); !known || back != g {
			t.Errorf("the type of %s is %s, want %s", want, back, text)
		}
	}
	for _, d := range []gpt.Discoverable{
		{gpt.Root, gpt.Data, "amd64"}, {"home", gpt.Data, "x86-64"}, {gpt.Root, 3, "x86-64"}, {gpt.Usr, -1, "x86-64"}, {},
	} {
		if g, known := gpt.TypeOf(d); known {
			t.Errorf("%v has the type %s", d, g)
		}
	}
	if d, known := gpt.Lookup(gpt.GUID{}); known {
		t.Errorf("an unused entry is %s", d)
	}
}

// TestTypesAgainstSystemd asks systemd for every type that it can name.
func TestTypesAgainstSystemd(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), need.Tool(t, "systemd-id128", "systemd"), "show", "--uuid").Output()
	if err != nil {
		t.Fatal(err)
	}
	agreed := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		g, err := guid.Parse(fields[1])
		if err != nil {
			continue
		}
		d, known := gpt.Lookup(g)
		family := strings.HasPrefix(fields[0], "root") || strings.HasPrefix(fields[0], "usr")
		if known != family {
			t.Errorf("%s (%s) is known: %v", fields[0], g, known)
		}
		// "root", "root-verity" and "root-secondary" stand for this machine's.
		if known && d.String() == fields[0] {
			agreed++
		}
		if back, _ := gpt.TypeOf(d); known && back != g {
			t.Errorf("the type of %s is %s, systemd has %s", d, back, g)
		}
	}
	if want := 21 * 2 * 3; agreed != want {
		t.Errorf("systemd agrees on %d types, want all %d", agreed, want)
	}
}
