package caddytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// adaptedName is the file name in the messages of a configuration that a test
// wrote as text.
const adaptedName = "Caddyfile"

// Config is a configuration as a test writes it. In its text, {{.HTTP}},
// {{.HTTPS}} and {{.Admin}} stand for the ports of the Caddy that gets it.
type Config struct {
	text string
	json bool
}

// Caddyfile is a configuration in the Caddyfile's language. The global options
// that a test Caddy needs (ports, loopback only, no certificates, a short grace
// period) are merged into its own; an option that it sets itself wins, except
// for the admin address. Lines keep their numbers.
func Caddyfile(text string) Config { return Config{text: text} }

// JSON is a configuration in Caddy's own form. Ports, loopback addresses and
// the rest are filled in where it leaves them out.
func JSON(text string) Config { return Config{text: text, json: true} }

// instance is what the harness chose for one Caddy.
type instance struct {
	httpPort, httpsPort, adminPort int

	storage string         // folder for Caddy's own files
	writer  map[string]any // where the captured log goes, as Caddy's JSON
}

// newInstance picks the ports of a Caddy that is about to start.
func newInstance(storage string, writer map[string]any) (instance, error) {
	in := instance{storage: storage, writer: writer}
	for _, port := range []*int{&in.httpPort, &in.httpsPort, &in.adminPort} {
		free, err := freePort()
		if err != nil {
			return in, err
		}
		*port = free
	}
	return in, nil
}

// render returns the JSON that this Caddy loads for cfg. Text that is not JSON
// comes back as it is, for Caddy to refuse.
func (in instance) render(cfg Config) ([]byte, error) {
	text := strings.NewReplacer(
		"{{.HTTP}}", fmt.Sprint(in.httpPort),
		"{{.HTTPS}}", fmt.Sprint(in.httpsPort),
		"{{.Admin}}", fmt.Sprint(in.adminPort),
	).Replace(cfg.text)
	if cfg.json {
		return in.complete([]byte(text)), nil
	}
	adapted, err := adapt(adaptedName, text, in.globalOptions())
	if err != nil {
		return nil, err
	}
	return in.complete(adapted), nil
}

// globalOptions is the Caddyfile text of the options of a test Caddy.
func (in instance) globalOptions() string {
	return fmt.Sprintf(`{
	default_bind 127.0.0.1
	http_port %d
	https_port %d
	auto_https off
	skip_install_trust
	grace_period 1s
}`, in.httpPort, in.httpsPort)
}

// Adapt turns a Caddyfile into JSON as `caddy adapt` does, with nothing added.
// filename is what error messages call it. Warnings are left out.
func Adapt(filename, text string) ([]byte, error) { return adapt(filename, text, "") }

// adapt turns a Caddyfile into JSON. The options in globals are added where the
// text does not set them. They are merged as tokens, so that messages about the
// text name its own lines.
func adapt(filename, text, globals string) ([]byte, error) {
	blocks, err := caddyfile.Parse(filename, []byte(text))
	if err != nil {
		return nil, err
	}
	if globals != "" {
		ours, err := caddyfile.Parse("harness", []byte(globals))
		if err != nil {
			return nil, fmt.Errorf("parsing the harness's options: %w", err)
		}
		blocks = mergeGlobals(blocks, ours[0])
	}
	cfg, _, err := httpcaddyfile.ServerType{}.Setup(blocks, map[string]any{"filename": filename})
	if err != nil {
		return nil, err
	}
	return json.Marshal(cfg)
}

// mergeGlobals adds the options of ours to the global block of blocks, which is
// the first one if it has no keys, unless that block sets them.
func mergeGlobals(blocks []caddyfile.ServerBlock, ours caddyfile.ServerBlock) []caddyfile.ServerBlock {
	if len(blocks) == 0 || len(blocks[0].Keys) > 0 {
		return slices.Insert(blocks, 0, ours)
	}
	for _, option := range ours.Segments {
		set := slices.ContainsFunc(blocks[0].Segments, func(s caddyfile.Segment) bool {
			return s.Directive() == option.Directive()
		})
		if !set {
			blocks[0].Segments = append(blocks[0].Segments, option)
		}
	}
	return blocks
}

// Validate provisions a configuration in Caddy's JSON form without starting it,
// as `caddy validate` does, and returns Caddy's reason if it is refused. Only
// log output is kept off the terminal; nothing else is added.
func Validate(t testing.TB, config []byte) error {
	t.Helper()
	release := lockCaddy(t)
	defer release()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		return err
	}
	if cfg.Logging == nil {
		cfg.Logging = &caddy.Logging{}
	}
	if cfg.Logging.Logs["default"] == nil {
		quiet := &caddy.CustomLog{BaseLog: caddy.BaseLog{
			WriterRaw: caddyconfig.JSONModuleObject(caddy.DiscardWriter{}, "output", "discard", nil),
		}}
		if cfg.Logging.Logs == nil {
			cfg.Logging.Logs = make(map[string]*caddy.CustomLog)
		}
		cfg.Logging.Logs["default"] = quiet
	}
	return caddy.Validate(&cfg)
}
