package config_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
)

func TestBoot(t *testing.T) {
	t.Parallel()
	const digest = "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
	yes, five := true, 5
	c, err := config.Parse("f", []byte("boot:\n  tries: 5\n  image_time: 2m\n  time: 10m\n  strict: true\n  allow_own_trust: true\n  bundles:\n    - "+digest+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Boot{Tries: &five, ImageTime: 2 * time.Minute, Time: 10 * time.Minute, Strict: &yes, AllowOwnTrust: &yes, Bundles: []string{digest}}
	if diff := cmp.Diff(want, c.Boot); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, text := range map[string]string{
		"tries below zero":   "boot:\n  tries: -1\n",
		"tries without end":  "boot:\n  tries: 101\n",
		"tries in words":     "boot:\n  tries: many\n",
		"no unit":            "boot:\n  time: 90\n",
		"no time":            "boot:\n  time: 0s\n",
		"less than a second": "boot:\n  image_time: 10ms\n",
		"too long":           "boot:\n  time: 11m\n",
		"short digest":       "boot:\n  bundles:\n    - sha256:12\n",
		"digest without":     "boot:\n  bundles:\n    - " + digest[7:] + "\n",
		"unknown":            "boot:\n  trys: 3\n",
	} {
		if c, err := config.Parse("f", []byte(text)); err == nil {
			t.Errorf("%s: %+v", name, c.Boot)
		}
	}
	// It isn't for cloud-configs, which are on a disk and of others.
	if c, err := config.Parse("f", []byte("#cloud-config\ninstall:\n  policy: signed\nboot:\n  tries: 5\n")); err != nil || c.Boot.Tries != nil {
		t.Errorf("of a cloud-config: %+v, %v", c, err)
	}
}

// TestImageFile reads what the image brings along before all else.
func TestImageFile(t *testing.T) {
	t.Parallel()
	_, root := place(t, map[string]string{
		config.ImageFile:        "policy: verity\nboot:\n  tries: 7\n  strict: true\n",
		"etc/inlay/config.yaml": "policy: signed\nboot:\n  tries: 2\n",
	})
	c, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	if c.Policy.String() != "signed" || *c.Boot.Tries != 2 || !*c.Boot.Strict || c.Sources[0] != "/"+config.ImageFile {
		t.Errorf("%v, %+v, %v", c.Policy, c.Boot, c.Sources)
	}
}
