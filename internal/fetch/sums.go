package fetch

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/source"
)

const (
	// sumsName is what publishers call the list of their files' digests.
	sumsName = "SHA256SUMS"
	// maxSums bounds that list: ten thousand files and some.
	maxSums = 1 << 20
)

// findSum returns the digest that the list sums, in the form that sha256sum
// writes, has for the first of names that it knows. Lines of another form, such
// as those of a signature around the list, are passed over.
func findSum(sums []byte, names ...string) (source.Digest, error) {
	if len(sums) > maxSums {
		return "", fmt.Errorf("%s has more than %d bytes", sumsName, maxSums)
	}
	known := map[string]source.Digest{}
	lines := bufio.NewScanner(bytes.NewReader(sums))
	lines.Buffer(nil, maxSums+1)
	for lines.Scan() {
		name, digest, ok := parseSum(lines.Text())
		if !ok {
			continue
		}
		if before, twice := known[name]; twice && before != digest {
			return "", fmt.Errorf("%s has two digests for %q", sumsName, name)
		}
		known[name] = digest
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("reading %s: %w", sumsName, err)
	}
	for _, name := range names {
		if d, ok := known[name]; ok && name != "" {
			return d, nil
		}
	}
	return "", hint.Wrap(fmt.Errorf("%s has no line for %q", sumsName, names[0]),
		"check that it is the list of this file's release, or give the digest itself with --digest")
}

// parseSum reads a line of sha256sum: 64 hex digits, a space, a space for text or
// a star for binary, and the name. A backslash before it all says that the name
// is escaped.
func parseSum(line string) (name string, d source.Digest, ok bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	const digits = 64
	if len(line) < digits+3 || line[digits] != ' ' || line[digits+1] != ' ' && line[digits+1] != '*' {
		return "", "", false
	}
	d, err := parseDigest("sha256:" + line[:digits])
	if err != nil {
		return "", "", false
	}
	name = line[digits+2:]
	if escaped {
		name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
	}
	return strings.TrimPrefix(name, "./"), d, true
}
