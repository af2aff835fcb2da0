//go:build bench

package bench_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/need"
)

// judge has fsck.erofs and veritysetup look at the image that c has made.
func (b *bench) judge(t *testing.T, c contender) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), "--json", b.image()).Output()
	if err != nil {
		t.Fatalf("%s: sfdisk: %v", c.name, err)
	}
	parts := parsePartitions(t, string(text))
	if len(parts) != 3 {
		t.Fatalf("%s: sfdisk sees %d partitions, want 3", c.name, len(parts))
	}
	// These tools know no partitions.
	data, hash := b.cut(t, parts[0], "data"), b.cut(t, parts[1], "hash")
	// The root hash is what the identifiers of the two partitions say together.
	root := strings.ToLower(strings.ReplaceAll(parts[0].UUID+parts[1].UUID, "-", ""))
	binds := map[string]string{b.output(): ""}
	b.root.Run(t, binds, "fsck.erofs", data)
	b.root.Run(t, binds, "veritysetup", "verify", data, hash, root)
}

// cut copies a partition into a file beside the image.
func (b *bench) cut(t *testing.T, p partition, name string) string {
	t.Helper()
	in, err := os.Open(b.image())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(b.output(), name)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, p.Start, p.Size)); err != nil {
		t.Fatal(err)
	}
	return path
}

// partition is what sfdisk says of one.
type partition struct {
	Start int64  `json:"start"`
	Size  int64  `json:"size"`
	UUID  string `json:"uuid"`
}

func parsePartitions(t *testing.T, text string) []partition {
	t.Helper()
	var table struct {
		PartitionTable struct {
			SectorSize int64       `json:"sectorsize"`
			Partitions []partition `json:"partitions"`
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal([]byte(text), &table); err != nil {
		t.Fatal(err)
	}
	for i := range table.PartitionTable.Partitions {
		table.PartitionTable.Partitions[i].Start *= table.PartitionTable.SectorSize
		table.PartitionTable.Partitions[i].Size *= table.PartitionTable.SectorSize
	}
	return table.PartitionTable.Partitions
}
