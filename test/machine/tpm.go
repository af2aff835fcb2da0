package machine

// Where QEMU finds its TPM, in the namespace that both run in.
const (
	tpmSocket = "/run/tpm.sock"
	tpmState  = "/run/tpm"
)

// startTPM starts swtpm, which goes to the background once its socket is there,
// and then becomes the command given. The namespace ends with that.
const startTPM = `mkdir "$1"
swtpm socket --tpm2 --tpmstate "dir=$1" --ctrl "type=unixio,path=$2" --daemon
shift 2
exec "$@"`

// withTPM returns the command that starts a TPM and then argv.
func withTPM(argv []string) []string {
	return append([]string{"sh", "-euc", startTPM, "tpm", tpmState, tpmSocket}, argv...)
}

// tpmArguments are QEMU's for that TPM.
func tpmArguments() []string {
	return []string{
		"-chardev", "socket,id=tpm,path=" + tpmSocket, "-tpmdev", "emulator,id=tpm,chardev=tpm",
		"-device", "tpm-crb,tpmdev=tpm",
	}
}
