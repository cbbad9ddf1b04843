package executortest

import (
	"io"
	"net/http"
	"path"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

// maxBody bounds, in bytes, what is read of a call.
const maxBody = 16 << 20

// methods are the paths served and how they are asked for.
var methods = map[string]string{
	"/v2/" + executor.CallAddress:  http.MethodPost,
	"/v2/" + executor.CallTap:      http.MethodPost,
	"/v2/" + executor.CallUntap:    http.MethodPost,
	"/v2/" + executor.CallCapacity: http.MethodPost,
	"/" + executor.CallHealth:      http.MethodGet,
}

// ServeHTTP answers a call, so that the same script can be served by another
// server too: over TLS, say, by httptest.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, ok := methods[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case method != r.Method:
		http.Error(w, "use "+method, http.StatusMethodNotAllowed)
		return
	}
	// The body is read to its end also because net/http notices only then
	// that a caller leaves.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := Call{
		Name:   path.Base(r.URL.Path),
		Method: r.Method,
		URI:    r.URL.RequestURI(),
		Header: r.Header.Clone(),
		Raw:    body,
		At:     time.Now(),
	}
	unreadable := decode(&c)
	end := s.record.begin(c)
	defer end()

	if err := s.access.check(r, body); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if unreadable != nil {
		http.Error(w, unreadable.Error(), http.StatusBadRequest)
		return
	}
	s.scripts.next(c).give(r.Context(), w, r)
}
