package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table is what systemd's tools print, as text or as JSON.
type table struct {
	head []string // in lower case, as the keys of the JSON
	rows [][]cell
}

// cell is a value with its lines of text.
type cell struct {
	value any // string, int64, []string or nil
	lines []string
}

func text(s string) cell { return cell{s, []string{printable(s)}} }

// timestamp is a point in time, or none.
func timestamp(t time.Time) cell {
	if t.IsZero() {
		return cell{nil, []string{"-"}}
	}
	return cell{t.UnixMicro(), []string{t.Local().Format("Mon 2006-01-02 15:04:05 MST")}}
}

// microseconds is a point in time since 1970, or none for 0, which JSON has all the
// same.
func microseconds(n int64) cell {
	if n == 0 {
		return cell{n, []string{"-"}}
	}
	return timestamp(time.UnixMicro(n))
}

// text is the table for people: columns are as wide as they need to be, and the last
// one ends where it ends.
func (t table) text(legend bool) string {
	rows := t.rows
	if legend {
		head := make([]cell, 0, len(t.head))
		for _, h := range t.head {
			head = append(head, text(strings.ToUpper(h)))
		}
		rows = append([][]cell{head}, rows...)
	}
	widths := make([]int, len(t.head))
	for _, row := range rows {
		for i, c := range row {
			for _, line := range c.lines {
				widths[i] = max(widths[i], utf8.RuneCountInString(line))
			}
		}
	}
	var out strings.Builder
	for _, row := range rows {
		height := 0
		for _, c := range row {
			height = max(height, len(c.lines))
		}
		for n := range height {
			for i, c := range row {
				line := ""
				if n < len(c.lines) {
					line = printable(c.lines[n])
				}
				if i > 0 {
					out.WriteByte(' ')
				}
				out.WriteString(line)
				if i < len(row)-1 {
					out.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(line)))
				}
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// json is the table as a list of objects, with the blanks that systemd sets.
func (t table) json(pretty bool) string {
	if len(t.rows) == 0 {
		return "[]"
	}
	open, between, colon, end := "[", ",", ":", "]"
	indent := func(int) string { return "" }
	if pretty {
		colon = " : "
		indent = func(depth int) string { return "\n" + strings.Repeat("\t", depth) }
	}
	var out strings.Builder
	out.WriteString(open)
	for i, row := range t.rows {
		if i > 0 {
			out.WriteString(between)
		}
		out.WriteString(indent(1) + "{")
		for j, c := range row {
			if j > 0 {
				out.WriteString(between)
			}
			out.WriteString(indent(2) + quoted(t.head[j]) + colon + encoded(c.value, indent))
		}
		out.WriteString(indent(1) + "}")
	}
	out.WriteString(indent(0) + end)
	return out.String()
}

func encoded(value any, indent func(int) string) string {
	switch v := value.(type) {
	case string:
		return quoted(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case []string:
		if len(v) == 0 {
			return "[]"
		}
		var items []string
		for _, s := range v {
			items = append(items, indent(3)+quoted(s))
		}
		return "[" + strings.Join(items, ",") + indent(2) + "]"
	}
	return "null"
}

func quoted(s string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return "null"
	}
	return strings.TrimSuffix(out.String(), "\n")
}
