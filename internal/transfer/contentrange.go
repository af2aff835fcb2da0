package transfer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parseContentRange reads "bytes START-END/TOTAL", END included; total is -1 for "*".
func parseContentRange(s string) (start, end, total int64, err error) {
	bad := fmt.Errorf("the server's Content-Range %q makes no sense", clip(s))
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, 0, bad
	}
	start, err1 := strconv.ParseInt(from, 10, 64)
	end, err2 := strconv.ParseInt(to, 10, 64)
	total = -1
	var err3 error
	if size != "*" {
		total, err3 = strconv.ParseInt(size, 10, 64)
	}
	if errors.Join(err1, err2, err3) != nil || start < 0 || end < start || total >= 0 && end >= total {
		return 0, 0, 0, bad
	}
	return start, end, total, nil
}

// clip keeps hostile text from filling a message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
