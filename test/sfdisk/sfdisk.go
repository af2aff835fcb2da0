// Package sfdisk takes images apart for witnesses that know no partitions, by
// the partition table as util-linux's sfdisk reads it.
package sfdisk

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"inlay/test/need"
)

// Partition is one partition of an image: where it lies, in bytes, and what it
// is called.
type Partition struct {
	Start int64  `json:"start"`
	Size  int64  `json:"size"`
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
}

// Partitions returns the three partitions of a signed image: data, hash tree
// and signature. Any other number fails the test.
func Partitions(t testing.TB, image string) []Partition {
	t.Helper()
	parts := Table(t, image)
	if len(parts) != 3 {
		t.Fatalf("sfdisk sees %d partitions, want 3", len(parts))
	}
	return parts
}

// Table returns the partitions of any image.
func Table(t testing.TB, image string) []Partition {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), "--json", image).Output()
	if err != nil {
		t.Fatalf("sfdisk: %v", err)
	}
	var table struct {
		PartitionTable struct {
			SectorSize int64       `json:"sectorsize"`
			Partitions []Partition `json:"partitions"`
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	parts := table.PartitionTable.Partitions
	for i := range parts {
		parts[i].Start *= table.PartitionTable.SectorSize
		parts[i].Size *= table.PartitionTable.SectorSize
	}
	return parts
}

// RootHash returns what the UUIDs of data and hash tree say together.
func RootHash(parts []Partition) string {
	return strings.ToLower(strings.ReplaceAll(parts[0].UUID+parts[1].UUID, "-", ""))
}

// Cut copies the partition p of image into the file path.
func Cut(t testing.TB, image string, p Partition, path string) {
	t.Helper()
	in, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, p.Start, p.Size)); err != nil {
		t.Fatal(err)
	}
}
