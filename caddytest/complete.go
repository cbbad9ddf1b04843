package caddytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// capturedLog is the name of the log that the harness adds if it has to.
const capturedLog = "caddytest"

// complete fills in what every test Caddy needs and a configuration leaves out:
// the admin address, loopback listeners, storage in the test's folder, and the
// captured log. What is not a JSON object is left for Caddy to refuse.
func (in instance) complete(config []byte) []byte {
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.UseNumber() // numbers above 2^53 stay what they are
	if err := dec.Decode(&doc); err != nil || doc == nil || dec.More() {
		return config
	}
	in.completeAdmin(doc)
	in.completeHTTP(doc)
	in.completeLogs(doc)
	setDefault(doc, "storage", map[string]any{"module": "file_system", "root": in.storage})
	out, err := json.Marshal(doc)
	if err != nil {
		return config
	}
	return out
}

func (in instance) completeAdmin(doc map[string]any) {
	admin := child(doc, "admin")
	if admin == nil {
		return
	}
	admin["listen"] = fmt.Sprintf("127.0.0.1:%d", in.adminPort)
	if config := child(admin, "config"); config != nil {
		config["persist"] = false
	}
}

func (in instance) completeHTTP(doc map[string]any) {
	apps, _ := doc["apps"].(map[string]any)
	app, _ := apps["http"].(map[string]any)
	if app == nil {
		return
	}
	// The cleaner would still write to the storage when the test removes it.
	if tls := child(apps, "tls"); tls != nil {
		setDefault(tls, "disable_storage_clean", true)
	}
	setDefault(app, "http_port", in.httpPort)
	setDefault(app, "https_port", in.httpsPort)
	setDefault(app, "grace_period", int64(time.Second))
	servers, _ := app["servers"].(map[string]any)
	for _, s := range servers {
		server, _ := s.(map[string]any)
		if server == nil {
			continue
		}
		setDefault(server, "automatic_https", map[string]any{"disable": true})
		listeners, _ := server["listen"].([]any)
		for i, l := range listeners {
			if addr, ok := l.(string); ok && strings.HasPrefix(addr, ":") {
				listeners[i] = "127.0.0.1" + addr
			}
		}
	}
}

// completeLogs has the harness capture every log that would go to standard
// error. If the test sends the default log elsewhere, an extra log captures
// everything, so that failures can show it.
func (in instance) completeLogs(doc map[string]any) {
	logs := child(child(doc, "logging"), "logs")
	def := child(logs, "default")
	if def == nil {
		return
	}
	capture := in.writer
	if _, elsewhere := def["writer"]; elsewhere {
		extra := map[string]any{"writer": in.writer, "encoder": map[string]any{"format": "json"}}
		if level, ok := def["level"]; ok {
			extra["level"] = level
		}
		capture = map[string]any{"output": "discard"} // or entries would come twice
		defer func() { logs[capturedLog] = extra }()
	}
	for _, l := range logs {
		if log, ok := l.(map[string]any); ok {
			setDefault(log, "writer", capture)
			setDefault(log, "encoder", map[string]any{"format": "json"})
		}
	}
}

// child returns the object at m[key], made if it is not there; nil if something
// else is in its place, or if m is nil.
func child(m map[string]any, key string) map[string]any {
	if m == nil {
		return nil
	}
	v, ok := m[key]
	if !ok || v == nil {
		c := make(map[string]any)
		m[key] = c
		return c
	}
	c, _ := v.(map[string]any)
	return c
}

func setDefault(m map[string]any, key string, value any) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}
