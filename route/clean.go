package route

// Clean returns a request's path as it is matched, decoded and as it was escaped
// (empty if the default escaping says the same). It reports false for a path that
// no pattern can match.
func Clean(path, rawPath string) (text, raw string, ok bool) {
	var p requestPath
	if !p.set(&Request{Path: path, RawPath: rawPath}) {
		return "", "", false
	}
	return p.text, p.raw, true
}
