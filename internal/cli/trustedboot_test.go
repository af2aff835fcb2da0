package cli_test

import (
	"testing"

	"inlay/internal/cli"
	"inlay/internal/config"
	"inlay/internal/trust"
)

// TestHeldPolicy: on a trusted boot the disk may ask for a signature, and for nothing
// that the signed image has decided otherwise.
func TestHeldPolicy(t *testing.T) {
	t.Parallel()
	const narrow = "root=absent:usr=signed"
	for _, test := range []struct{ name, disk, image, want string }{
		{"nobody says anything", "", "", ""},
		{"a disk asks for less", "any", "", ""},
		{"a disk asks for more", "signed", "", "signed"},
		{"an image asks for less", "", "any", ""},
		{"an image asks for more", "", narrow, narrow},
		{"both do", "signed", narrow, narrow},
		{"a disk asks for less than the image", "any", narrow, narrow},
		{"a disk asks for more than the image", "signed", "any", "signed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			policy := func(text string) *trust.Policy {
				if text == "" {
					return nil
				}
				p, err := trust.ParsePolicy(text)
				if err != nil {
					t.Fatal(err)
				}
				return &p
			}
			got := ""
			if p := cli.Held(&config.Config{Policy: policy(test.disk)}, &config.Config{Policy: policy(test.image)}).Policy; p != nil {
				got = p.String()
			}
			want := test.want
			if want != "" {
				want = policy(want).String()
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
