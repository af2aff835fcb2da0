package media_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/media"
	"inlay/internal/uki"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	const install = media.CmdlineKairos + " install-mode"
	for name, c := range map[string]struct {
		o    media.EntryOptions
		want []media.Entry
	}{
		"Kairos": {media.EntryOptions{Kairos: true}, []media.Entry{{Name: "norole", Title: "Kairos", Cmdline: install, Role: "install"}}},
		"plain":  {media.EntryOptions{}, []media.Entry{{Name: "norole", Title: "Linux", Cmdline: media.CmdlinePlain, Role: "install"}}},
		"own words": {
			media.EntryOptions{Kairos: true, Cmdline: " quiet ", Title: "Mine", Extend: " debug "},
			[]media.Entry{{Name: "norole", Title: "Mine", Cmdline: "quiet install-mode debug", Role: "install"}},
		},
		"roles": {
			media.EntryOptions{Kairos: true, Roles: media.Roles()},
			[]media.Entry{
				{Name: "norole", Title: "Kairos", Cmdline: install, Role: "install"},
				{Name: "active", Title: "Kairos", Cmdline: media.CmdlineKairos, Role: "active"},
				{Name: "passive", Title: "Kairos (fallback)", Cmdline: media.CmdlineKairos, Role: "passive"},
				{Name: "recovery", Title: "Kairos recovery", Cmdline: media.CmdlineKairos, Role: "recovery"},
			},
		},
		"extra words, as auroraboot names them": {
			media.EntryOptions{Kairos: true, Extra: []string{"Debug=1 x/y"}},
			[]media.Entry{
				{Name: "norole", Title: "Kairos", Cmdline: install, Role: "install"},
				{Name: "norole_install-mode_debug_1_x_y", Title: "Kairos (Debug=1 x/y)", Cmdline: install + " Debug=1 x/y", Role: "install"},
			},
		},
		"profiles": {
			media.EntryOptions{Extra: []string{`a="b"`, "c"}, Profiles: true},
			[]media.Entry{{
				Name: "norole", Title: "Linux", Cmdline: media.CmdlinePlain, Role: "install",
				Profiles: []uki.Profile{
					{ID: "extra1", Title: "a=b", Cmdline: media.CmdlinePlain + ` a="b"`},
					{ID: "extra2", Title: "c", Cmdline: media.CmdlinePlain + " c"},
				},
			}},
		},
		"single entries": {
			media.EntryOptions{Kairos: true, Single: []string{"My Entry: key=1:2", "bare words"}},
			[]media.Entry{
				{Name: "norole", Title: "Kairos", Cmdline: install, Role: "install"},
				{Name: "my_entry", Title: "Kairos (My Entry)", Cmdline: install + " key=1:2", Role: "install"},
				{Name: "single_entry_bare_words", Title: "Kairos", Cmdline: install + " bare words", Role: "install"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := media.Entries(c.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEntriesRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    media.EntryOptions
		want string
	}{
		"no such role":   {media.EntryOptions{Roles: []string{"main"}}, `no role "main"`},
		"role twice":     {media.EntryOptions{Roles: []string{"active", "active"}}, `both be "active.efi"`},
		"same to FAT":    {media.EntryOptions{Single: []string{"A:x", "a:y"}}, `both be "a.efi"`},
		"a role's name":  {media.EntryOptions{Roles: []string{"active"}, Single: []string{"Active:x"}}, `both be "active.efi"`},
		"no name":        {media.EntryOptions{Single: []string{"é:x"}}, "no name of a file"},
		"long name":      {media.EntryOptions{Single: []string{strings.Repeat("n", 201) + ":x"}}, "no name of a file"},
		"blank words":    {media.EntryOptions{Cmdline: " "}, "is empty"},
		"not ASCII":      {media.EntryOptions{Extend: "ä"}, "not printable ASCII"},
		"a second line":  {media.EntryOptions{Extend: "a\nb"}, "not printable ASCII"},
		"too many words": {media.EntryOptions{Extend: strings.Repeat("w", 2048)}, "more than the 2047"},
		"in a profile":   {media.EntryOptions{Extra: []string{"a\x00b"}, Profiles: true}, "not printable ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := media.Entries(c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(hint.Of(err)) == 0 {
				t.Errorf("got %v and %v, want %q and a hint", got, err, c.want)
			}
		})
	}
}
