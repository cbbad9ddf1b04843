package kubefaas

import (
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// expanded is what the Caddyfile adapter may have made of a shorthand.
var expanded = regexp.MustCompile(`\{http\.[^{}]*\}`)

// openShorthands are the shorthands that end in a word of the user's, by what
// the adapter makes of them; where one begins another, the longer is first.
var openShorthands = [][2]string{
	{"{http.request.uri.path.file.", "{file."},
	{"{http.request.uri.path.", "{path."},
	{"{http.request.uri.query.", "{query."},
	{"{http.request.header.", "{header."},
	{"{http.request.cookie.", "{cookie."},
	{"{http.request.host.labels.", "{labels."},
	{"{http.regexp.", "{re."},
	{"{http.vars.", "{vars."},
	{"{http.reverse_proxy.", "{rp."},
	{"{http.intercept.", "{resp."},
	{"{http.error.", "{err."},
	{"{http.matchers.file.", "{file_match."},
}

// restoreShorthands undoes what the Caddyfile adapter does to everything in
// braces that looks like one of its placeholder shorthands: it has turned the
// path variable {path} into {http.request.uri.path} before the directive sees
// it.
func restoreShorthands(text string) string {
	return expanded.ReplaceAllStringFunc(text, func(s string) string {
		if short := httpcaddyfile.WasReplacedPlaceholderShorthand(s); short != "" {
			return short
		}
		for _, o := range openShorthands {
			if rest, ok := strings.CutPrefix(s, o[0]); ok {
				return o[1] + rest
			}
		}
		return s
	})
}

// restored restores each text in its place.
func restored(texts []string) []string {
	for i := range texts {
		texts[i] = restoreShorthands(texts[i])
	}
	return texts
}
