package cli_test

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdDaemon is "daemon SOCKET NAME [arch=A] LAYER...": a daemon that has one
// image listens on SOCKET, and DOCKER_HOST points to it. It answers as Docker
// does; the real one has tests elsewhere.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: daemon SOCKET NAME [arch=A] LAYER...")
	}
	socket, image, layers := ts.MkAbs(args[0]), args[1], args[2:]
	architecture := "amd64"
	if a, found := strings.CutPrefix(layers[0], "arch="); found {
		architecture, layers = a, layers[1:]
	}
	im, err := imageOf(ts, architecture, layers)
	ts.Check(err)
	handler, err := daemonWith(im, image)
	ts.Check(err)
	listener, err := net.Listen("unix", socket)
	ts.Check(err)
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	ts.Defer(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			ts.Logf("the daemon ended with: %v", err)
		}
	})
	ts.Setenv("DOCKER_HOST", "unix://"+socket)
}

func daemonWith(im v1.Image, image string) (http.Handler, error) {
	id, err := im.ConfigName()
	if err != nil {
		return nil, err
	}
	config, err := im.ConfigFile()
	if err != nil {
		return nil, err
	}
	archive, err := dockerArchive(im)
	if err != nil {
		return nil, err
	}
	about, err := json.Marshal(map[string]any{
		"Id": id.String(), "Os": config.OS, "Architecture": config.Architecture, "Created": config.Created,
		"RootFS": map[string]any{"Type": "layers", "Layers": config.RootFS.DiffIDs},
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, _ := strings.CutPrefix(r.URL.Path, "/images/")
		for _, known := range []string{image, id.String()} {
			switch rest {
			case known + "/json":
				_, _ = w.Write(about)
				return
			case known + "/get":
				_, _ = w.Write(archive)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such image"}`)
	}), nil
}
