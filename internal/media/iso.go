package media

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"inlay/internal/guid"
	"inlay/internal/hint"
)

// VolumeID is the name of the ISO's file system; the installer looks for it.
const VolumeID = "UKI_ISO_INSTALL"

// BootImage is the EFI system partition as a file of the ISO: what starts Kairos
// from a medium mounts it by this name to find what is to be installed.
const BootImage = "efiboot.img"

// ISOOptions say what is on a medium.
type ISOOptions struct {
	// ESP is the path of the EFI system partition, which must have a name, as an
	// ISOFile's source.
	ESP string
	// Overlay is a folder whose content lies at the root, or "".
	Overlay string
	// Files are put there too.
	Files []ISOFile
	// Disk is the identifier of the partition table.
	Disk guid.GUID
}

// ISO makes an ISO 9660 file system in out, an empty file that needs no name,
// with the EFI system partition in it: a file, and at once a partition of a GPT.
// It boots from a disc (El Torito) and from a stick (GPT). The same content gives
// the same bytes.
func (t Tools) ISO(ctx context.Context, out *os.File, o ISOOptions) error {
	overlay := o.Overlay
	if overlay != "" {
		var err error
		if overlay, err = filepath.Abs(overlay); err != nil {
			return err
		}
	}
	entries, err := isoTree(overlay, append([]ISOFile{{Path: BootImage, Source: o.ESP}}, o.Files...))
	if err != nil {
		return err
	}
	err = t.run(ctx, job{
		name: xorriso, what: "writing the ISO", file: out,
		args: t.isoArguments(o), input: strings.NewReader(commands(entries)),
	})
	if err != nil {
		return hint.Default(err, "see that there is room for it in the output folder")
	}
	return seeISO(out)
}

func (t Tools) isoArguments(o ISOOptions) []string {
	args := [][]string{
		{"-no_rc"},
		{"-report_about", "SORRY"},
		{"-abort_on", "SORRY"},
		{"-return_with", "SORRY", "32"},
		{"-local_charset", "UTF-8"},
		{"-charset", "UTF-8"},
		{"-backslash_codes", "in_double_quotes"},
		{"-disk_pattern", "off"},
		{"-iso_rr_pattern", "off"},
		{"-padding", "0"},
		{"-outdev", "stdio:" + fd},
		// Without room for further sessions, which would come before the data.
		{"-as", "mkisofs", "--no-emul-toc", "--"},
		{"-volid", VolumeID},
		{"-application_id", "INLAY"},
		{"-preparer_id", ""},
		{"-publisher", ""},
		// What the files are called in this process are links.
		{"-options_from_file", "-"},
		{"-chmod", "0555", "/", "--"},
		{"-chown_r", "0", "/", "--"},
		{"-chgrp_r", "0", "/", "--"},
		// The volume's own dates it has from SOURCE_DATE_EPOCH.
		{"-volume_date", "all_file_dates", fmt.Sprintf("=%d", t.Epoch.Unix())},
		{"-boot_image", "any", "gpt_disk_guid=" + o.Disk.String()},
		{"-boot_image", "any", "efi_path=/" + BootImage},
		{"-boot_image", "any", "efi_boot_part=--efi-boot-image"},
		// El Torito counts to 65535 sectors, and FAT32 takes more. By UEFI 2.10,
		// 13.3.2.1, a count of 0 or 1 is all up to the end of the disc.
		{"-boot_image", "any", "load_size=512"},
		{"-boot_image", "any", "platform_id=0xef"},
		{"-boot_image", "any", "cat_hidden=on"},
		{"-commit"},
		{"-end"},
	}
	var flat []string
	for _, words := range args {
		flat = append(flat, words...)
	}
	return flat
}

// seeISO makes sure that there is an ISO: xorriso has many ways to end.
func seeISO(out *os.File) error {
	var id [5]byte
	if _, err := out.ReadAt(id[:], 16*2048+1); err != nil || string(id[:]) != "CD001" {
		return fmt.Errorf("writing the ISO: xorriso has made none")
	}
	return nil
}

// Times returns the time of day that media are made at: epoch, or a fixed one
// that FAT and ISO 9660 can tell.
func Times(epoch *time.Time) time.Time {
	if epoch == nil || epoch.Before(oldest()) {
		return oldest()
	}
	return epoch.UTC()
}
