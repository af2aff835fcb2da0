package cli_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"inlay/internal/cli"
	"inlay/test/need"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){
		"test-signer": func() {
			if err := testSigner(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(3)
			}
		},
	}
	for _, name := range programs() {
		commands[name] = program
	}
	testscript.Main(withUmask{m}, commands)
}

// withUmask runs the tests, but not the programs that they start, with one
// umask: what a script's folders look like to "dir:" must not depend on the shell.
type withUmask struct{ *testing.M }

func (w withUmask) Run() int {
	syscall.Umask(0o022)
	return w.M.Run()
}

// program is cmd/inlay, in the binary of the test.
func program() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args, cli.System())
	stop()
	os.Exit(code)
}

// updateScripts returns the flag that rewrites what scripts compare with.
var updateScripts = flag.Bool("update", false, "rewrite what the scripts in testdata compare with")

func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script")
}

// TestScriptsWithSquashfs runs those that need the program behind
// --filesystem squashfs.
func TestScriptsWithSquashfs(t *testing.T) {
	t.Parallel()
	need.Tool(t, "mksquashfs", "squashfs-tools")
	need.Tool(t, "unsquashfs", "squashfs-tools")
	runScripts(t, "testdata/squashfs")
}

// TestScriptsThatMerge runs those that mount, each in a namespace of its own.
func TestScriptsThatMerge(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FileSystem(t, "erofs")
	need.Tool(t, "unshare", "util-linux")
	need.Tool(t, "nsenter", "util-linux")
	runScripts(t, "testdata/layering")
}

func runScripts(t *testing.T, dir string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *updateScripts,
		Setup:               setup,
		Cmds:                scriptCommands(),
	})
}

// scriptCommands are the words that scripts have besides testscript's own;
// testdata/README.md says how to use them.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"answers":   cmdAnswers,
		"daemon":    cmdDaemon,
		"digest":    cmdDigest,
		"efivars":   cmdEFIVars,
		"exits":     cmdExits,
		"imagecat":  cmdImageCat,
		"initrdls":  cmdInitrdList,
		"interrupt": cmdInterrupt,
		"jsonkeys":  cmdJSONKeys,
		"jsonpath":  cmdJSONPath,
		"lockstore": cmdLockStore,
		"mkefi":     cmdMakeEFI,
		"mkimage":   cmdMakeImage,
		"mktar":     cmdMakeTar,
		"namespace": cmdNamespace,
		"registry":  cmdRegistry,
		"signedby":  cmdSignedBy,
		"ukicat":    cmdUKICat,
		"web":       cmdWeb,
	}
}

// setup gives a script a home without credentials, no daemon, and the folder
// that holds inlay and nothing else.
func setup(env *testscript.Env) error {
	inlay, err := exec.LookPath("inlay")
	if err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("INLAY_BIN", filepath.Dir(inlay))
	env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, ".no-daemon"))
	env.Values[registriesKey{}] = map[string]*testRegistry{}
	return nil
}
