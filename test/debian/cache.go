package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// CacheVariable names the environment variable with the cache folder; without
// it the cache is .cache at the module's root. The folder may be deleted at any
// time that no test runs.
const CacheVariable = "INLAY_TEST_CACHE"

// Cached returns the folder that fill has made for key, a value that encodes
// into JSON and says everything that the result depends on. fill runs at most
// once for a key, also when several test binaries ask at the same time; it gets
// an empty folder, and what it leaves there appears under the final name in one
// rename. An error of fill fails the test and keeps nothing.
func Cached(t testing.TB, name string, key any, fill func(folder string) error) string {
	t.Helper()
	folder, err := cached(t, name, key, fill)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func cached(t testing.TB, name string, key any, fill func(folder string) error) (string, error) {
	t.Helper()
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(key)
	if err != nil {
		return "", fmt.Errorf("encoding the key of %q: %w", name, err)
	}
	sum := sha256.Sum256(text)
	folder := filepath.Join(cache, name+"-"+hex.EncodeToString(sum[:6]))
	if exists(folder) {
		return folder, nil
	}

	unlock, err := Lock(name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(folder) { // made by another process while this one waited
		return folder, nil
	}
	staging := filepath.Join(cache, name+".new")
	if err := os.RemoveAll(staging); err != nil {
		return "", err
	}
	// Readable by all: it becomes the root folder of other users' processes.
	if err := os.Mkdir(staging, 0o755); err != nil {
		return "", err
	}
	start := time.Now()
	if err := fill(staging); err != nil {
		return "", errors.Join(fmt.Errorf("making %q: %w", name, err), os.RemoveAll(staging))
	}
	if err := os.Rename(staging, folder); err != nil {
		return "", err
	}
	t.Logf("made %s in %.1f s", folder, time.Since(start).Seconds())
	return folder, nil
}

// Lock takes the lock called name in the cache folder and waits for whoever
// holds it, in this process or another. It ends with unlock or with the process.
func Lock(name string) (unlock func(), err error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cache, name+".lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %q: %w", path, err), file.Close())
		}
	}
}

// lockLook is how often LockOne looks for a lock that is free.
const lockLook = 100 * time.Millisecond

// LockOne takes one of n locks called name and waits until one is free.
func LockOne(name string, n int) (unlock func(), err error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	for {
		for i := range n {
			path := filepath.Join(cache, fmt.Sprintf("%s-%d.lock", name, i))
			file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				return nil, err
			}
			err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if err == nil {
				return func() { file.Close() }, nil
			}
			file.Close()
			if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
				return nil, fmt.Errorf("locking %q: %w", path, err)
			}
		}
		time.Sleep(lockLook)
	}
}

// cacheFolder returns the absolute path of the cache and creates it.
func cacheFolder() (string, error) {
	module, err := moduleFolder()
	if err != nil {
		return "", err
	}
	folder := os.Getenv(CacheVariable)
	switch {
	case folder == "":
		folder = filepath.Join(module, ".cache")
	case !filepath.IsAbs(folder):
		folder = filepath.Join(module, folder)
	}
	return folder, os.MkdirAll(folder, 0o755)
}

// moduleFolder finds the folder with go.mod: tests run in their package's folder.
func moduleFolder() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !exists(filepath.Join(folder, "go.mod")) {
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("finding the module's root: no go.mod above the working folder")
		}
		folder = parent
	}
	return folder, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// run runs a program of the host; its output becomes part of the error.
func run(ctx context.Context, name string, args ...string) error {
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s %q: %w\n%s", name, args, err, bytes.TrimSpace(output))
	}
	return nil
}
