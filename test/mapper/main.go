// Command mapper runs internal/device where tests have a device-mapper, in the
// virtual machines.
//
//	mapper have                      whether there is dm-verity
//	mapper mount IMAGE HOW DIR [NAME] sets up the image's dm-verity device and mounts it
//	mapper kill IMAGE HOW            the same without mounting, and dies by SIGKILL
//	mapper crowd IMAGE COUNT         sets it up COUNT times at once
//	mapper status NAME|DIR           what the kernel says of a device
//	mapper remove NAME
//	mapper list
//
// HOW is what happens to the image's signature: offered to the kernel, required,
// or none; "spoilt" offers, and "spoilt-required" requires, one with another byte.
//
// Answers are words of the form KEY=VALUE on one line. An error is one, error=,
// with underscores for blanks, and hints=, the number of its hints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"inlay/internal/ddi"
	"inlay/internal/device"
	"inlay/internal/gpt"
	"inlay/internal/hint"
)

func main() {
	answer, err := run(context.Background(), os.Args[1:])
	if err != nil {
		answer = fmt.Sprintf("%s error=%s hints=%d", answer, strings.ReplaceAll(err.Error(), " ", "_"), len(hint.Of(err)))
		for _, known := range []struct {
			name string
			err  error
		}{{"taken", device.ErrTaken}, {"nomapper", device.ErrNoMapper}, {"none", fs.ErrNotExist}} {
			if errors.Is(err, known.err) {
				answer += " is=" + known.name
			}
		}
	}
	fmt.Println(strings.TrimSpace(answer))
}

func run(ctx context.Context, args []string) (string, error) {
	args = append(args, make([]string, 5)...) // what is missing is empty
	switch args[0] {
	case "have":
		return "have=yes", device.HaveMapper()
	case "mount":
		return mount(ctx, args[1], args[2], args[3], args[4])
	case "kill":
		if _, err := setUp(ctx, args[1], args[2], ""); err != nil {
			return "", err
		}
		fmt.Print("killed=yes")
		return "", unix.Kill(os.Getpid(), unix.SIGKILL)
	case "crowd":
		return crowd(ctx, args[1], args[2])
	case "status":
		return status(args[1])
	case "remove":
		return "removed=yes", device.Remove(args[1])
	case "list":
		listed, err := device.List()
		var names []string
		for _, l := range listed {
			names = append(names, l.Name)
		}
		return fmt.Sprintf("count=%d names=%s", len(listed), strings.Join(names, ",")), err
	}
	return "", fmt.Errorf("what is %q?", args[0])
}

// setUp makes the dm-verity device of an image, whose descriptors it closes.
func setUp(ctx context.Context, image, how, name string) (*device.Mapping, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	im, err := ddi.Open(f, info.Size())
	if err != nil {
		return nil, err
	}
	table := device.VerityTable{RequireKernel: strings.HasSuffix(how, "required")}
	if table.RootHash, err = im.RootHash(); err != nil {
		return nil, err
	}
	if table.Superblock, err = im.Superblock(); err != nil {
		return nil, err
	}
	if how != "none" {
		signature, err := im.Signature()
		if err != nil {
			return nil, err
		}
		table.Signature = signature.PKCS7
		if strings.HasPrefix(how, "spoilt") {
			table.Signature[len(table.Signature)-1] ^= 1
		}
	}
	for _, part := range []struct {
		loop      **device.Loop
		partition gpt.Partition
	}{{&table.Data, im.Data}, {&table.Hash, *im.Verity}} {
		*part.loop, err = device.Attach(ctx, f, device.LoopOptions{
			Offset: im.Table.Offset(part.partition), Size: im.Table.Length(part.partition),
		})
		if err != nil {
			return nil, err
		}
		defer (*part.loop).Close()
	}
	if name == "" {
		name = device.VerityName(table.RootHash)
	}
	return device.Verity(ctx, name, table)
}

func describe(m *device.Mapping) string {
	kind := "device"
	if strings.HasPrefix(m.Path(), "/proc/") {
		kind = "private"
	}
	return fmt.Sprintf("kernel=%t shared=%t path=%s name=%s unverified=%s", m.KernelVerified, m.Shared, kind, m.Name,
		strings.ReplaceAll(fmt.Sprint(m.Unverified), " ", "_"))
}

func mount(ctx context.Context, image, how, folder, name string) (string, error) {
	m, err := setUp(ctx, image, how, name)
	if err != nil {
		return "", err
	}
	defer m.Close()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return describe(m), unix.Mount(m.Path(), folder, "erofs", unix.MS_RDONLY|unix.MS_NODEV, "")
}

func crowd(ctx context.Context, image, count string) (string, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return "", err
	}
	mappings, failures := make([]*device.Mapping, n), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { mappings[i], failures[i] = setUp(ctx, image, "none", "") })
	}
	group.Wait()
	made, shared := 0, 0
	for _, m := range mappings {
		switch {
		case m == nil:
			continue
		case m.Shared:
			shared++
		default:
			made++
		}
		m.Close()
	}
	return fmt.Sprintf("made=%d shared=%d", made, shared), errors.Join(failures...)
}

func status(of string) (string, error) {
	s, err := device.Active(of)
	if strings.HasPrefix(of, "/") {
		info, failed := os.Stat(of)
		if failed != nil {
			return "", failed
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			s, err = device.ActiveAt(device.NumberOf(stat.Dev))
		}
	}
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot("/")
	if err != nil {
		return "", err
	}
	defer root.Close()
	data, err := device.BackingOf(root, s.Data)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("name=%s uuid=%s root=%x corrupted=%t kernel=%t deferred=%t readonly=%t backing=%s",
		s.Name, s.UUID, s.RootHash, s.Corrupted, s.KernelVerified, s.Deferred, s.ReadOnly, data.File), nil
}
