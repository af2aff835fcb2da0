package media

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"inlay/internal/hint"
)

// Shapes of FAT32 (Microsoft's FAT specification 1.03), in bytes.
const (
	fatSector   = 512
	fatReserved = 32 // sectors before the first table
	fatTables   = 2
	fatEntry    = 32 // of a folder
	fatName     = 13 // characters that one entry more of a long name takes
	// minClusters makes it FAT32: with fewer it would be FAT16, whatever its
	// header says.
	minClusters = 65525
	// maxCluster bounds the cluster size; larger ones gain nothing.
	maxCluster = 4096
	// grain is what the size of a partition is rounded up to.
	grain = 1 << 20
	// spare are clusters for what firmware may write: at least so many bytes.
	spare = 256 << 10
	// maxESP is the largest partition that is made.
	maxESP = 1 << 40
)

// ESPOptions say what kind of EFI system partition to make.
type ESPOptions struct {
	// Size in bytes, a multiple of 1 MiB; 0 is as small as it can be.
	Size int64
	// VolumeID is the serial number; 0 makes one of the content.
	VolumeID uint32
}

// ESPResult is an EFI system partition that was made.
type ESPResult struct {
	Size        int64  `json:"size"`        // in bytes
	Content     int64  `json:"content"`     // bytes of all its files
	Clusters    int64  `json:"clusters"`    // how many
	ClusterSize int64  `json:"clusterSize"` // in bytes
	VolumeID    string `json:"volumeID"`
}

// oldest is the first moment that FAT can tell.
func oldest() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

// ESP makes an EFI system partition with FAT32 in f, an empty file that needs
// no name. The same files give the same bytes.
func (t Tools) ESP(ctx context.Context, f *os.File, files []ESPFile, o ESPOptions) (*ESPResult, error) {
	l, err := newLayout(files)
	if err != nil {
		return nil, err
	}
	if t.Epoch.Before(oldest()) {
		t.Epoch = oldest()
	}
	r, err := l.measure(o.Size)
	if err != nil {
		return nil, err
	}
	id := o.VolumeID
	if id == 0 {
		digest, err := l.identity("esp")
		if err != nil {
			return nil, err
		}
		id = binary.BigEndian.Uint32(digest[:])
	}
	r.VolumeID = fmt.Sprintf("%04X-%04X", id>>16, id&0xffff)
	if err := f.Truncate(r.Size); err != nil {
		return nil, fmt.Errorf("making room for the EFI system partition: %w", err)
	}
	err = t.run(ctx, job{
		name: mkfsVFAT, what: "formatting the EFI system partition", file: f,
		args: []string{
			"-F", "32", "-S", "512", "-s", fmt.Sprint(r.ClusterSize / fatSector), "-f", "2", "-R", fmt.Sprint(fatReserved),
			// No label: it would have the time of day. --invariant would hold that
			// still, and the volume id with it.
			"-a", "-g", "255/63", "-i", fmt.Sprintf("%08x", id), fd,
		},
	})
	if err != nil {
		return nil, err
	}
	if err := r.see(f); err != nil {
		return nil, err
	}
	if err := t.fill(ctx, f, l); err != nil {
		return nil, err
	}
	return r, nil
}

// fill makes folders and copies files, which come through a pipe.
func (t Tools) fill(ctx context.Context, f *os.File, l *layout) error {
	var folders []string
	for _, folder := range l.folders {
		folders = append(folders, "::"+folder)
	}
	if len(folders) > 0 {
		err := t.run(ctx, job{
			name: mmd, what: "making folders in the EFI system partition", file: f,
			args: append([]string{"-i", fd}, folders...),
		})
		if err != nil {
			return err
		}
	}
	for _, file := range l.files {
		err := t.run(ctx, job{
			name: mcopy, what: fmt.Sprintf("copying %q into the EFI system partition", file.Path), file: f,
			args: []string{"-i", fd, "-", "::" + file.Path}, input: &exactly{file.reader(), file.Size},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// exactly refuses a source that ends early.
type exactly struct {
	io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// measure finds the clusters that the content takes and the size of the whole.
func (l *layout) measure(wanted int64) (*ESPResult, error) {
	if wanted%grain != 0 || wanted < 0 || wanted > maxESP {
		return nil, fmt.Errorf("an EFI system partition cannot have %d bytes: whole MiB, up to %d", wanted, maxESP>>20)
	}
	r := &ESPResult{}
	for _, f := range l.files {
		r.Content += f.Size
	}
	// The larger clusters are, the smaller the tables and the faster firmware
	// reads; but there must be enough of them.
	for size := int64(maxCluster); size >= fatSector; size /= 2 {
		needed := l.clusters(size) + spare/size
		whole := max(needed, minClusters+16)
		total := roundUp(fatBytes(whole, size), grain)
		if wanted != 0 {
			total = wanted
		}
		r.ClusterSize, r.Size, r.Clusters = size, total, fatClusters(total, size)
		if r.Clusters >= whole && (wanted != 0 || needed >= minClusters) {
			return r, nil
		}
	}
	if wanted == 0 {
		return r, nil // small content in the smallest FAT32 there is
	}
	least, err := l.measure(0)
	if err != nil {
		return nil, err
	}
	return nil, hint.Wrap(fmt.Errorf("an EFI system partition of %d MiB is too small: it needs %d MiB for %d MiB of files", wanted>>20, least.Size>>20, roundUp(r.Content, grain)>>20),
		"leave --esp-size out, or move folders of the image into extensions: inlay media plan shows which")
}

// clusters returns how many the files and folders take.
func (l *layout) clusters(size int64) int64 {
	entries := map[string]int64{".": 0}
	for _, folder := range l.folders {
		entries[folder] += 2
		entries[path.Dir(folder)] += 2 + int64(len(path.Base(folder))/fatName)
	}
	var total int64
	for _, f := range l.files {
		entries[path.Dir(f.Path)] += 2 + int64(len(path.Base(f.Path))/fatName)
		total += roundUp(f.Size, size) / size
	}
	for _, n := range entries {
		total += roundUp(n*fatEntry, size) / size
	}
	return total
}

// fatBytes returns the size of a partition with so many clusters.
func fatBytes(clusters, size int64) int64 {
	table := roundUp((clusters+2)*4, fatSector)
	return fatReserved*fatSector + fatTables*table + clusters*size
}

// fatClusters is the other way round, never too many.
func fatClusters(total, size int64) int64 {
	clusters := (total - fatReserved*fatSector) / (size + fatTables*4)
	for clusters > 0 && fatBytes(clusters, size) > total {
		clusters--
	}
	return clusters
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// see reads what mkfs.vfat has made of it, by the rule by which firmware does.
func (r *ESPResult) see(f *os.File) error {
	var boot [fatSector]byte
	if _, err := f.ReadAt(boot[:], 0); err != nil {
		return fmt.Errorf("reading what mkfs.vfat made: %w", err)
	}
	word := func(at int) int64 { return int64(binary.LittleEndian.Uint16(boot[at:])) }
	long := func(at int) int64 { return int64(binary.LittleEndian.Uint32(boot[at:])) }
	sector, cluster := word(11), int64(boot[13])
	if sector != fatSector || cluster*fatSector != r.ClusterSize || word(17) != 0 {
		return errors.New("mkfs.vfat made another file system than it was asked for")
	}
	clusters := (long(32) - word(14) - int64(boot[16])*long(36)) / cluster
	if clusters < minClusters || clusters < r.Clusters-16 {
		return fmt.Errorf("mkfs.vfat made %d clusters of %d", clusters, r.Clusters)
	}
	r.Clusters = clusters
	return nil
}
