package witness_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/need"
	"inlay/test/sample"
)

// TestFullDisk runs commands on a file system of 6 MiB: what does not fit is
// refused, before it starts where its size is known, and what is there stays.
// On a disk without a free byte, extensions can still be listed and removed.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	need.Root(t)
	unshare := need.Tool(t, "unshare", "util-linux")
	small := sample.Make(t, sample.Image{Name: "app"})
	large := sample.Make(t, sample.Image{Name: "large", Files: map[string]string{"usr/share/large": noise(8 << 20)}})
	body := readFile(t, large)
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		// No length: the body comes in chunks.
		for text := body; len(text) > 0; text = text[min(len(text), 1<<16):] {
			if _, err := w.Write(text[:min(len(text), 1<<16)]); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	script := fmt.Sprintf(`
		root=%q; inlay=%q; said=%q
		mount -t tmpfs -o size=6m tmpfs "$root"
		mkdir -p "$root/etc"; echo ID=debian >"$root/etc/os-release"
		run() { verb=$1; shift; "$inlay" sysext "$verb" "$@" --root "$root" >/dev/null 2>"$said" || { status=$?; grep -o 'not enough space' "$said" | head -n 1; echo "$verb: status $status"; }; }
		show() { "$inlay" sysext list --root "$root" 2>&1 | sed -n 's/^\(app_[0-9]\) .*/\1/p' | xargs echo "have"; find "$root/var" -type l | wc -l; }
		free() { df --output=avail "$root" | tail -n 1; }
		run download file:%[4]s --name app_1
		run download file:%[4]s --name app_2
		run enable --active app_1
		show; before=$(free)
		echo "known size"; run download file:%[5]s --name large; show; test "$(free)" = "$before"
		echo "unknown size"; run download %[6]s/large.raw; show; test "$(free)" = "$before"
		echo "full"
		cat /dev/zero >"$root/filler" 2>/dev/null || :
		while printf x >>"$root/filler" 2>/dev/null; do :; done
		test "$(free)" -eq 0
		run download file:%[4]s --name app_3
		show
		run remove app_1
		show
		rm "$root/filler"
		echo "room again"; run download file:%[4]s --name app_3; run enable --common app_2 app_3; show
		cd "$root/var/lib/kairos/extensions/.inlay"; find aside staging journal -type f 2>/dev/null`,
		t.TempDir(), inlay, filepath.Join(t.TempDir(), "said"), small, large, server.URL)
	const want = `have app_1 app_2
1
known size
not enough space
download: status 1
have app_1 app_2
1
unknown size
not enough space
download: status 1
have app_1 app_2
1
full
not enough space
download: status 1
have app_1 app_2
1
have app_2
0
room again
have app_2 app_3
2
`
	got := command(t, []string{"NO_PROXY=127.0.0.1"}, unshare, "--mount", "--propagation", "private", "--", "sh", "-uc", "set -e\n"+script+" || :")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("what does not fit was asked for %d times", n)
	}
}

// noise is n bytes that nothing compresses.
func noise(n int) string {
	text := make([]byte, n)
	rand.Read(text)
	return string(text)
}
