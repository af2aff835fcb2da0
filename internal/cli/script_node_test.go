package cli_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"inlay/internal/extension"
	"inlay/internal/store"
)

// cmdWeb is "web VARIABLE FOLDER [tls]": it serves a folder over HTTP on the
// loopback, and puts the address into VARIABLE. With tls it is HTTPS, by a
// certificate that programs of this script trust. A query of "as=NAME" gives the
// answer a Content-Disposition, one of "to=ADDRESS" makes it a redirect.
func cmdWeb(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || len(args) == 3 && args[2] != "tls" {
		ts.Fatalf("usage: web VARIABLE FOLDER [tls]")
	}
	files := http.FileServer(http.Dir(ts.MkAbs(args[1])))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		if name := r.URL.Query().Get("as"); name != "" {
			w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		}
		files.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if len(args) == 3 {
		s.StartTLS()
		file := ts.MkAbs(".web-" + args[0] + ".pem")
		ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
		ts.Setenv("SSL_CERT_FILE", file)
	} else {
		s.Start()
	}
	ts.Defer(func() {
		s.CloseClientConnections()
		s.Close()
	})
	ts.Setenv(args[0], s.URL)
}

// cmdDigest is "digest VARIABLE FILE": it puts the SHA-256 of a file into VARIABLE.
func cmdDigest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest VARIABLE FILE")
	}
	sum := sha256.Sum256([]byte(ts.ReadFile(args[1])))
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}

// cmdLockStore is "lockstore ROOT KIND COMMAND": until the script ends, COMMAND
// is changing the store of that kind below ROOT.
func cmdLockStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lockstore ROOT KIND COMMAND")
	}
	root, err := os.OpenRoot(ts.MkAbs(args[0]))
	ts.Check(err)
	k, err := extension.KindNamed(args[1])
	ts.Check(err)
	s, err := store.Open(root, k, store.Options{})
	ts.Check(err)
	unlock, err := s.Lock(context.Background(), 0, args[2])
	ts.Check(err)
	ts.Defer(func() {
		_ = unlock()
		_ = s.Close()
		_ = root.Close()
	})
}
