package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/transfer"
)

// fetch copies what the script serves.
func fetch(t *testing.T, s *script, want []byte) (*memory, error) {
	t.Helper()
	u, client := serve(t, s)
	m := &memory{}
	p := impatient()
	if slices.ContainsFunc(s.tries, func(t try) bool { return t.silent }) {
		p.Stall = 500 * time.Millisecond
	}
	f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{Client: client, URL: u, Patience: p})
	if err != nil {
		return m, err
	}
	defer f.Close()
	sum, size, err := f.CopyTo(t.Context(), m, want)
	if err == nil && (sum != sha256.Sum256(m.b) || size != int64(len(m.b))) {
		t.Errorf("the sum %x and the size %d are not those of the %d bytes that were written", sum, size, len(m.b))
	}
	return m, err
}

// TestFile promises that a file arrives whole and of one version, or not at all,
// whatever the server does.
func TestFile(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	const first = 1<<20 + 12345
	a, b := noise(1, size), noise(2, size)
	longer, shorter := noise(3, size+5), noise(4, first-5)
	long := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	since := long.Format(http.TimeFormat)
	part := fmt.Sprintf("bytes=%d-", first)
	withTag, withDate := part+` if "a"`, part+" if "+since
	one := try{body: a, etag: `"a"`}
	cut := func(t try, n int) try { t.cut = n; return t }
	silent := func(t try, n int) try { t.cut, t.silent = n, true; return t }
	with := func(t try, name string, values ...string) try { t.header = http.Header{name: values}; return t }
	dated := try{body: a, modified: long}
	bare := try{body: a}
	weak := try{body: a, etag: `W/"a"`}
	deaf := try{body: a, etag: `"a"`, deaf: true}
	chunked := try{body: a, etag: `"a"`, chunked: true}
	span := func(from, to int, total string) string { return fmt.Sprintf("bytes %d-%d/%s", from, to, total) }
	lies := func(length, content int) try {
		return try{body: a[:content], raw: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, a[:content])}
	}

	tests := map[string]struct {
		tries []try
		asks  []string // nil is not checked
		sum   []byte   // of what is wanted; nil is not known
		want  []byte   // nil is an error
		err   string   // in it
	}{
		"no trouble":             {[]try{one}, []string{""}, nil, a, ""},
		"empty":                  {[]try{{}}, []string{""}, nil, []byte{}, ""},
		"cut once":               {[]try{cut(one, first), one}, []string{"", withTag}, nil, a, ""},
		"cut twice":              {[]try{cut(one, first), cut(one, 7), one}, []string{"", withTag, fmt.Sprintf(`bytes=%d- if "a"`, first+7)}, nil, a, ""},
		"stall":                  {[]try{silent(one, first), one}, []string{"", withTag}, nil, a, ""},
		"always stalls":          {[]try{silent(one, first), silent(one, 1)}, nil, nil, nil, "gave up after 4 tries, at byte 1060924 of 3145728: no byte came for too long"},
		"never better":           {[]try{cut(one, first), cut(one, 1)}, nil, nil, nil, "gave up after 4 tries"},
		"by date":                {[]try{cut(dated, first), dated}, []string{"", withDate}, nil, a, ""},
		"written just now":       {[]try{cut(try{body: a, modified: time.Now().Add(time.Minute)}, first), dated}, []string{"", ""}, nil, a, ""},
		"weak tag":               {[]try{cut(weak, first), weak}, []string{"", ""}, nil, a, ""},
		"weak tag, known digest": {[]try{cut(weak, first), weak}, []string{"", part}, a, a, ""},
		"weak tag and date":      {[]try{cut(try{body: a, etag: `W/"a"`, modified: long}, first), {body: a, etag: `W/"a"`, modified: long}}, []string{"", withDate}, nil, a, ""},
		"no validator":           {[]try{cut(bare, first), bare}, []string{"", ""}, nil, a, ""},
		"digest for a validator": {[]try{cut(bare, first), bare}, []string{"", part}, a, a, ""},
		"deaf to ranges":         {[]try{cut(deaf, first), deaf}, []string{"", withTag}, nil, a, ""},
		"deaf and changed":       {[]try{cut(deaf, first), {body: b, etag: `"b"`, deaf: true}}, nil, nil, b, ""},
		"deaf and always cut":    {[]try{cut(deaf, first)}, nil, nil, nil, "gave up"},

		"changed, same size":        {[]try{cut(one, first), {body: b, etag: `"b"`}}, []string{"", withTag}, nil, b, ""},
		"changed, longer":           {[]try{cut(one, first), {body: longer, etag: `"b"`}}, nil, nil, longer, ""},
		"changed, shorter":          {[]try{cut(one, first), {body: shorter, etag: `"b"`}}, nil, nil, shorter, ""},
		"changed by date":           {[]try{cut(dated, first), {body: b, modified: long.Add(time.Hour)}}, []string{"", withDate}, nil, b, ""},
		"changed to a date before":  {[]try{cut(dated, first), {body: b, modified: long.Add(-time.Hour)}}, nil, nil, b, ""},
		"changed, no validator":     {[]try{cut(bare, first), {body: b}}, []string{"", ""}, nil, b, ""},
		"changed, cut, changed":     {[]try{cut(one, first), cut(try{body: b, etag: `"b"`}, first), one}, []string{"", withTag, part + ` if "b"`}, nil, a, ""},
		"changed, digest of new":    {[]try{cut(bare, first), {body: b}}, []string{"", part, ""}, b, b, ""},
		"changed, digest of old":    {[]try{cut(bare, first), {body: b}}, []string{"", part, ""}, a, b, ""}, // for the caller to compare
		"changed shorter, judged":   {[]try{cut(bare, first), {body: shorter}}, []string{"", part, ""}, shorter, shorter, ""},
		"If-Range ignored":          {[]try{cut(one, first), {body: b, raw: fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nETag: \"b\"\r\nContent-Range: %s\r\nContent-Length: %d\r\n\r\n%s", span(first, size-1, "3145728"), size-first, b[first:])}, {body: b, etag: `"b"`}}, []string{"", withTag, ""}, nil, b, ""},
		"If-Range ignored, no tag":  {[]try{cut(one, first), with(one, "Etag"), one}, []string{"", withTag, ""}, nil, a, ""},
		"If-Range ignored, no date": {[]try{cut(dated, first), with(dated, "Last-Modified"), dated}, []string{"", withDate, ""}, nil, a, ""},
		"416 on resuming":           {[]try{cut(one, first), {status: 416}, one}, []string{"", withTag, ""}, nil, a, ""},
		"416 for nothing":           {[]try{{status: 416}}, []string{""}, nil, nil, "status 416"},

		"wrong start":         {[]try{cut(one, first), with(one, "Content-Range", span(first+1, size-1, "3145728")), one}, []string{"", withTag, ""}, nil, a, ""},
		"other total":         {[]try{cut(one, first), with(one, "Content-Range", span(first, size-1, "9999999")), one}, []string{"", withTag, ""}, nil, a, ""},
		"unknown total":       {[]try{cut(one, first), with(one, "Content-Range", span(first, size-1, "*")), one}, []string{"", withTag, ""}, nil, a, ""},
		"no Content-Range":    {[]try{cut(one, first), with(one, "Content-Range"), one}, []string{"", withTag, ""}, nil, a, ""},
		"mad Content-Range":   {[]try{cut(one, first), with(one, "Content-Range", "bytes 5-3/9"), one}, []string{"", withTag, ""}, nil, a, ""},
		"part of a part":      {[]try{cut(one, first), with(one, "Content-Range", span(first, size-2, "3145728")), one}, []string{"", withTag, ""}, nil, a, ""},
		"part unasked":        {[]try{{raw: "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/2\r\nContent-Length: 2\r\n\r\nab"}, one}, []string{"", ""}, nil, a, ""},
		"part unasked, later": {[]try{{raw: "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-6/9\r\nContent-Length: 2\r\n\r\nab"}}, nil, nil, nil, "a part that was not asked for"},

		"503 on resuming":  {[]try{cut(one, first), {status: 503}, one}, []string{"", withTag, withTag}, nil, a, ""},
		"500 at first":     {[]try{{status: 500}, {status: 502}, one}, []string{"", "", ""}, nil, a, ""},
		"429 at first":     {[]try{{status: 429}, one}, []string{"", ""}, nil, a, ""},
		"always 500":       {[]try{{status: 500}}, []string{"", "", "", ""}, nil, nil, "gave up after 4 tries: answers with status 500 (Internal Server Error)"},
		"404":              {[]try{{status: 404}}, []string{""}, nil, nil, "status 404"},
		"gone on resuming": {[]try{cut(one, first), {status: 410}}, []string{"", withTag}, nil, nil, "status 410"},
		"403":              {[]try{{status: 403}}, []string{""}, nil, nil, "status 403"},
		"204":              {[]try{{status: 204}}, []string{""}, nil, nil, "status 204"},
		"comes back in an hour": {
			[]try{{status: 503, header: http.Header{"Retry-After": {"3600"}}}},
			[]string{""},
			nil, nil, "wants to be asked again in 1h0m0s",
		},
		"garbage":            {[]try{{raw: "SSH-2.0-OpenSSH_9.2\r\n"}}, []string{"", "", "", ""}, nil, nil, "gave up after 4 tries"},
		"garbage at first":   {[]try{{raw: "SSH-2.0-OpenSSH_9.2\r\n"}, one}, nil, nil, a, ""},
		"endless header":     {[]try{{raw: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)}}, nil, nil, nil, "gave up"},
		"packed":             {[]try{with(one, "Content-Encoding", "gzip")}, []string{""}, nil, nil, `packs the file with "gzip"`},
		"packed as it is":    {[]try{with(one, "Content-Encoding", "identity")}, []string{""}, nil, a, ""},
		"packed part":        {[]try{cut(one, first), with(one, "Content-Encoding", "zstd")}, []string{"", withTag}, nil, nil, `packs the file with "zstd"`},
		"says longer":        {[]try{lies(size, size-100)}, nil, nil, nil, "gave up after 4 tries"},
		"says shorter":       {[]try{{body: a, raw: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size-100, a)}}, []string{""}, nil, nil, "announced 3145628 bytes, but has more"},
		"two lengths":        {[]try{{raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"}}, nil, nil, nil, "gave up"},
		"size not said":      {[]try{chunked}, []string{""}, nil, a, ""},
		"size not said yet":  {[]try{cut(chunked, first), one}, []string{"", withTag}, nil, a, ""},
		"cut before the end": {[]try{cut(chunked, size), one}, []string{"", `bytes=3145728- if "a"`, ""}, nil, a, ""},
		"ends by closing":    {[]try{{body: a, raw: "HTTP/1.0 200 OK\r\n\r\n" + string(a)}}, []string{""}, nil, a, ""},
		"cut by closing":     {[]try{{body: a, raw: "HTTP/1.0 200 OK\r\n\r\n" + string(a[:first])}}, []string{""}, nil, nil, "but has more"},
		"closing, deaf":      {[]try{{body: a, raw: "HTTP/1.0 200 OK\r\n\r\n" + string(a), deaf: true}}, []string{""}, nil, nil, "does not say how long the file is"},
		"closing, judged":    {[]try{{body: a, raw: "HTTP/1.0 200 OK\r\n\r\n" + string(a), deaf: true}}, []string{""}, a, a, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{tries: tt.tries}
			var sum []byte
			if tt.sum != nil {
				known := sha256.Sum256(tt.sum)
				sum = known[:]
			}
			got, err := fetch(t, s, sum)
			switch {
			case tt.want == nil && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("got error %v, want %q in it", err, tt.err)
			case tt.want != nil && err != nil:
				t.Error(err)
			case tt.want != nil && !bytes.Equal(got.b, tt.want):
				t.Errorf("got %d bytes that are not the %d wanted", len(got.b), len(tt.want))
			}
			if diff := cmp.Diff(tt.asks, s.asks); tt.asks != nil && diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if tt.sum != nil && len(s.end) > 0 {
				t.Errorf("asked behind the end of a file whose digest is known: %q", s.end)
			}
		})
	}
}

// TestFileChangesForEver promises an end with a server whose file is another one
// at each request.
func TestFileChangesForEver(t *testing.T) {
	t.Parallel()
	var requests atomic.Uint64
	content := noise(1, 2<<20)
	u, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		(&script{tries: []try{{body: slices.Concat(content, []byte{byte(n)}), etag: fmt.Sprintf(`"%d"`, n), cut: 3 << 19}}}).ServeHTTP(w, r)
	}))
	f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{Client: client, URL: u, Patience: impatient()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := f.CopyTo(t.Context(), &memory{}, nil); err == nil || !strings.Contains(err.Error(), "begun anew 20 times") {
		t.Errorf("got %v", err)
	}
}

// TestFileCancel promises that a cancelled copy ends at once, and with the
// canceller's cause, also while nothing comes.
func TestFileCancel(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	u, client := serve(t, &script{tries: []try{{
		body: noise(1, 1<<20), cut: 1000, silent: true,
		then: func() { time.AfterFunc(50*time.Millisecond, func() { cancel(cause) }) },
	}}})
	f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{Client: client, URL: u})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := time.Now()
	if _, _, err := f.CopyTo(ctx, &memory{}, nil); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestFileProgress promises that progress counts what is there, and falls back
// when that goes.
func TestFileProgress(t *testing.T) {
	t.Parallel()
	a, b := noise(1, 2<<20), noise(2, 3<<20)
	u, client := serve(t, &script{tries: []try{{body: a, etag: `"a"`, cut: 3 << 19}, {body: b, etag: `"b"`}}})
	var done, totals []int64
	f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{
		Client: client, URL: u, Patience: impatient(),
		Progress: func(d, total int64) { done, totals = append(done, d), append(totals, total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size != 2<<20 {
		t.Errorf("announced %d", f.Size)
	}
	if _, _, err := f.CopyTo(t.Context(), &memory{}, nil); err != nil {
		t.Fatal(err)
	}
	if back := slices.Index(done, 0); back < 0 || done[back-1] != 3<<19 || totals[back-1] != 2<<20 || totals[back] != 3<<20 {
		t.Errorf("done %d of %d", done, totals)
	}
	if last := len(done) - 1; done[last] != 3<<20 || totals[last] != 3<<20 {
		t.Errorf("ends at %d of %d", done[last], totals[last])
	}
	if f.ETag() != `"b"` {
		t.Errorf("tag %q", f.ETag())
	}
}

// full is a destination that takes no more.
type full struct{ memory }

var errFull = errors.New("full")

func (f *full) WriteAt([]byte, int64) (int, error) { return 0, errFull }

// TestFileFull promises that what stops the writing is no trouble of the network.
func TestFileFull(t *testing.T) {
	t.Parallel()
	s := &script{tries: []try{{body: noise(1, 1000)}}}
	u, client := serve(t, s)
	f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{Client: client, URL: u, Patience: impatient()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := f.CopyTo(t.Context(), &full{}, nil); !errors.Is(err, errFull) || len(s.asks) != 1 {
		t.Errorf("got %v after %q", err, s.asks)
	}
}
