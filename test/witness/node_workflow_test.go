package witness_test

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/sample"
)

// workflow is the example of the Kairos documents, word for word.
const workflow = `
kairos-agent sysext download https://example.org/extensions/k3sv1.32.1.raw
kairos-agent sysext enable --active --now k3s
kairos-agent sysext list --active
kairos-agent sysext remove --now k3s
`

const hostRelease = "ID=debian\nVERSION_ID=13\n"

// k3sImage puts an unsigned image under the name of the example into a folder
// "extensions" of a new folder, and returns that.
func k3sImage(t *testing.T) string {
	t.Helper()
	image := sample.Make(t, sample.Image{Name: "k3sv1.32.1", Files: map[string]string{"usr/share/witness/k3s": "k3s\n"}})
	folder := t.TempDir()
	to := filepath.Join(folder, "extensions", "k3sv1.32.1.raw")
	if err := os.Mkdir(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(image, to); err != nil {
		t.Fatal(err)
	}
	return folder
}

// throwAway returns the root of a machine that booted the active profile.
func throwAway(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/os-release"), hostRelease, 0o644)
	write(t, filepath.Join(root, "run/cos/active_mode"), "1\n", 0o644)
	return root
}

// agent makes the program answer as kairos-agent, and returns the folder that
// its name lies in.
func agent(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.Symlink(inlay, filepath.Join(folder, "kairos-agent")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// apart makes a mount namespace that lasts as long as the test, in which all may be
// merged, and returns what enters it before a command.
func apart(t *testing.T) []string {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, "erofs")
	c := exec.Command(need.Tool(t, "unshare", "util-linux"), "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat")
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
		_ = c.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return []string{need.Tool(t, "nsenter", "util-linux"), fmt.Sprintf("--mount=/proc/%d/ns/mnt", c.Process.Pid), "--"}
}

// TestWorkflowBelowRoot goes through the documents' example below a throw-away
// root, which is all that is added to its words, and the address of the server. No
// systemd is there: the program merges by itself.
func TestWorkflowBelowRoot(t *testing.T) {
	t.Parallel()
	files := k3sImage(t)
	server := httptest.NewTLSServer(http.FileServer(http.Dir(files)))
	defer server.Close()
	root, tools, enter := throwAway(t), agent(t), apart(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o644)
	image := filepath.Join(root, "var/lib/kairos/extensions/k3sv1.32.1.sysext.raw")
	const merged = "usr/share/witness/k3s"
	link := filepath.Join(root, "run/extensions/k3sv1.32.1.sysext.raw")
	active := filepath.Join(root, "var/lib/kairos/extensions/active/k3sv1.32.1.sysext.raw")
	// What is there after each line, and what the line prints.
	wants := []struct {
		there []string
		says  string
	}{
		{[]string{image}, "k3sv1.32.1.sysext.raw: "},
		{[]string{image, active, link, merged}, "k3sv1.32.1.sysext.raw: enabled for active\n"},
		{[]string{image, active, link, merged}, "k3sv1.32.1"},
		{nil, "k3sv1.32.1.sysext.raw: removed\n"},
	}
	for i, line := range strings.Split(strings.TrimSpace(workflow), "\n") {
		argv := strings.Fields(strings.ReplaceAll(line, "https://example.org", server.URL))
		argv = slices.Concat(enter, []string{filepath.Join(tools, argv[0])}, argv[1:], []string{"--root", root})
		c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+ca, "NO_PROXY=127.0.0.1")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		said, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", line, err, said, stderr.String())
		}
		if !strings.Contains(string(said), wants[i].says) {
			t.Errorf("%s prints\n%s\nwant\n%s", line, said, wants[i].says)
		}
		var there []string
		for _, name := range []string{image, active, link} {
			if _, err := os.Stat(name); err == nil {
				there = append(there, name)
			}
		}
		show := append(slices.Clone(enter), "cat", filepath.Join(root, merged))
		if text, err := exec.CommandContext(t.Context(), show[0], show[1:]...).Output(); err == nil && string(text) == "k3s\n" {
			there = append(there, merged)
		}
		if diff := cmp.Diff(wants[i].there, there); diff != "" {
			t.Errorf("after %s (-want +got)\n%s", line, diff)
		}
	}
}

// machine puts together what a container of the workflow needs.
func machine(t *testing.T) string {
	t.Helper()
	folder := k3sImage(t)
	for _, program := range []string{"webserver", "refresher"} {
		command(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", filepath.Join(folder, program), "inlay/test/"+program)
	}
	command(t, nil, "cp", inlay, filepath.Join(folder, "inlay"))
	command(t, nil, need.Tool(t, "openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=example.org", "-addext", "subjectAltName=DNS:example.org",
		"-keyout", filepath.Join(folder, "key.pem"), "-out", filepath.Join(folder, "ca.pem"))
	return folder
}

// machineWords make a container a node that has booted its active profile, in
// whose network example.org is the container itself. Of its devices nspawn shows
// none that disk images need: the kernel's own folder of them does.
const machineWords = `
mount -t devtmpfs devtmpfs /dev
mkdir -p /run/cos; echo 1 >/run/cos/active_mode
echo 127.0.0.1 example.org >/etc/hosts
ln -s /w/inlay /usr/bin/kairos-agent; ln -s /w/inlay /usr/bin/inlay
export SSL_CERT_FILE=/w/ca.pem
mkfifo /run/server; /w/webserver 127.0.0.1:443 /w /w/ca.pem /w/key.pem >/run/server &
read -r listening </run/server
show() { cat /usr/share/witness/k3s 2>/dev/null || echo absent; }
links() { find /var/lib/kairos/extensions /run/extensions -type l 2>/dev/null | sort; }
`

// TestWorkflowLive goes through it, word for word, where systemd 257 is PID 1:
// the file is in the running system after "enable --now", and gone after
// "remove --now". The image is whole, but unsigned, so that the kernel needs no
// device-mapper, which containers don't have.
func TestWorkflowLive(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FileSystem(t, "erofs")
	system := debian.System(t)
	binds := map[string]string{machine(t): "/w"}
	lines := strings.Split(strings.TrimSpace(workflow), "\n")
	for i, line := range lines {
		// Of the table nothing but the name is of interest, and of the rest nothing.
		lines[i] = line + " >/run/said 2>&1; grep -o '^k3sv1.32.1 ' /run/said || :; show; links"
	}
	const fetch = "kairos-agent sysext download https://example.org/extensions/k3sv1.32.1.raw >/dev/null 2>&1\n"
	for _, c := range []struct{ name, script, want string }{
		{
			"the documents' example", strings.Join(lines, "\n") + "\nls /var/lib/kairos/extensions",
			`absent
k3s
/run/extensions/k3sv1.32.1.sysext.raw
/var/lib/kairos/extensions/active/k3sv1.32.1.sysext.raw
k3sv1.32.1 
k3s
/run/extensions/k3sv1.32.1.sysext.raw
/var/lib/kairos/extensions/active/k3sv1.32.1.sysext.raw
absent
active
`,
		},
		{
			// Somebody else's image would stop systemd: it is left out, and named.
			"an image that is broken", fetch + `
			mkdir -p /run/extensions; echo rubbish >/run/extensions/broken.raw
			kairos-agent sysext enable --active --now k3s >/dev/null 2>&1; links; show
			kairos-agent sysext status | grep -o '^broken .* neither a partition table nor a file system' | tr -s ' '
			kairos-agent sysext remove --now k3s >/dev/null 2>&1 || echo "status $?"; links; show; ls /run/extensions`,
			`/run/extensions/k3sv1.32.1.sysext.raw
/var/lib/kairos/extensions/active/k3sv1.32.1.sysext.raw
k3s
broken /run/extensions/broken.raw no - neither a partition table nor a file system
absent
broken.raw
`,
		},
		{
			// What is enabled already is merged all the same, and what another
			// profile of this boot uses stays.
			"again, and other profiles", fetch + `
			kairos-agent sysext enable --active --passive --common k3s >/dev/null; show
			kairos-agent sysext enable --active --now k3s >/dev/null; show
			systemctl stop systemd-sysext; show
			kairos-agent sysext enable --active --now k3s >/dev/null; show
			kairos-agent sysext disable --active --now k3s >/dev/null; show
			kairos-agent sysext disable --common --now k3s >/dev/null; show; links`,
			`absent
k3s
absent
k3s
k3s
absent
/var/lib/kairos/extensions/passive/k3sv1.32.1.sysext.raw
`,
		},
		{
			// Merged by systemd, with flags that its service knows nothing of, and by the
			// native engine: each understands the other.
			"both engines", `
			at=/run/extensions/one/usr; mkdir -p $at/lib/extension-release.d $at/share/witness
			echo ID=_any >$at/lib/extension-release.d/extension-release.one; echo one >$at/share/witness/k3s
			inlay sysext refresh --json=short | grep -o '"engine":"[a-z]*"'; show
			inlay sysext status | grep -o 'merged by: .*'
			inlay sysext merge 2>&1 | grep -o 'is already merged'
			inlay sysext refresh 2>/dev/null | grep -v already
			inlay sysext refresh --mutable ephemeral >/dev/null 2>&1; touch /usr/new; ls /usr/new
			inlay sysext unmerge; show; ls /usr/new 2>/dev/null || echo gone
			inlay sysext merge --engine native 2>/dev/null; systemd-sysext --no-legend | grep -o '^/usr one'; show
			systemctl reload systemd-sysext 2>/dev/null || systemctl restart systemd-sysext; show
			inlay sysext status | grep -o '^one .*' | tr -s ' '
			inlay sysext unmerge; show`,
			`"engine":"systemd"
one
merged by: systemd
is already merged
/usr: one merged
/usr/new
/usr: unmerged
absent
gone
/usr: one merged
/usr one
one
one
one /run/extensions/one yes unprotected -
/usr: unmerged
absent
`,
		},
		{
			// The journal is that of an "enable --now" which was killed after the merge.
			"killed, and refused by now", fetch + `
			kairos-agent sysext enable --active --now k3s >/dev/null; show
			boot=$(cat /proc/sys/kernel/random/boot_id)
			cat >/var/lib/kairos/extensions/.inlay/journal <<END
{"version":1,"live":true,"boot":"$boot","steps":[
{"place":"run","name":"k3sv1.32.1.sysext.raw","now":{"link":"../../var/lib/kairos/extensions/k3sv1.32.1.sysext.raw"}},
{"place":"active","name":"k3sv1.32.1.sysext.raw","now":{"link":"../k3sv1.32.1.sysext.raw"}}]}
END
			kairos-agent sysext list --active 2>/dev/null; links; show
			kairos-agent sysext disable --recovery k3s | grep note; show
			kairos-agent sysext enable --active --now k3s >/dev/null; show
			mkdir /etc/verity.d; cp /w/ca.pem /etc/verity.d/ca.crt
			kairos-agent sysext status 2>&1 | grep warning; show
			kairos-agent sysext disable --recovery --now k3s | grep left; show`,
			`k3s
k3s
note: an interrupted command was undone, and the running system merged anew
absent
k3s
warning: k3sv1.32.1 is refused, and merged until something is merged anew: out with it by kairos-agent sysext disable k3sv1.32.1 --active --now
k3s
note: k3sv1.32.1 is left out of the running system, since it is refused: not signed, and the policy wants a signature by a trusted key
absent
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := system.Boot(t, binds, "", machineWords+c.script)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
