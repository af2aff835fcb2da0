package config

import "strings"

// key returns where the colon behind a key is, or -1.
func key(body string) int {
	if body[0] != '"' && body[0] != '\'' {
		if strings.ContainsAny(body[:1], "[{|>*%@`#,]}") {
			return -1
		}
		text, _ := uncomment(body)
		return colon(text)
	}
	var f flow
	rest, ok := f.take(body)
	if !ok || f.open() {
		return -1
	}
	if trimmed := strings.TrimLeft(rest, " \t"); colon(trimmed) == 0 {
		return len(body) - len(trimmed)
	}
	return -1
}

// colon returns where the first colon is that ends a key, or -1.
func colon(text string) int {
	for i := range len(text) {
		if text[i] == ':' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
			return i
		}
	}
	return -1
}

// properties returns text without the anchors and tags that it begins with.
func properties(text string) string {
	for text != "" && (text[0] == '&' || text[0] == '!') {
		i := strings.IndexAny(text, " \t")
		if i < 0 {
			return ""
		}
		text = strings.TrimLeft(text[i:], " \t")
	}
	return text
}

// uncomment returns text without the comment that it ends with.
func uncomment(text string) (string, bool) {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			return strings.TrimRight(text[:i], " \t"), true
		}
	}
	return strings.TrimRight(text, " \t"), false
}

// ends says whether text, which follows something, is blank or a comment.
func ends(text string) bool {
	trimmed := strings.TrimLeft(text, " \t")
	return trimmed == "" || trimmed[0] == '#' && len(trimmed) < len(text)
}
