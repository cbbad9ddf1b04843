package kubefaas

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// validateJSON provisions a configuration as `caddy validate` does: of the
// app's own JSON and of one handler's, either of which may be empty.
func validateJSON(t *testing.T, app, handler string) error {
	t.Helper()
	apps := make(map[string]json.RawMessage)
	if app != "" {
		apps[appID] = json.RawMessage(app)
	}
	if handler != "" {
		apps["http"] = json.RawMessage(`{"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [` + handler + `]}]}}}`)
	}
	text, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true},
		"logging": json.RawMessage(`{"logs": {"default": {"writer": {"output": "discard"}}}}`),
		"apps":    apps,
	})
	if err != nil {
		t.Fatalf("the test's JSON is not JSON: %v", err)
	}
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(text), &cfg); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&cfg)
}

// triggerJSON is a handler of one trigger with further fields.
func triggerJSON(fields string) string {
	return `{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/orders", "functions": [{"name": "orders"}]` + fields + `}]}`
}

func TestJSONOfEveryOptionIsAccepted(t *testing.T) {
	for name, c := range map[string]struct{ app, handler string }{
		"an empty app": {app: `{}`},
		"every option of the app": {app: `{
			"executor": {"executor": "static", "functions": [{"name": "hello", "addresses": ["127.0.0.1:9000"]}]},
			"functions": [{"namespace": "prod", "name": "hello", "uid": "u", "resource_version": "1", "executor_type": "container", "timeout": "60s", "concurrency": 3, "protocol": "h2c"}],
			"address_ttl": "1m", "cold_start_timeout": "30s", "max_waiting": 1, "max_waiting_total": 2, "max_waiting_bytes": "64MiB", "max_replay_body": 65536,
			"tap_interval": "5s", "header_prefix": "Acme", "retry": {"initial_interval": "1ms", "multiplier": 1, "max_attempts": 1, "address_attempts": 1, "max_interval": "1s", "jitter": 0},
			"analytics": {"url": "https://stats.example.com", "interval": "1h"}}`},
		"the trigger of the documentation": {handler: `{"handler": "kubefaas", "triggers": [
			{"@id": "split", "name": "split", "path": "/checkout", "methods": ["post"], "hosts": ["shop.example.com"],
			 "functions": [{"namespace": "default", "name": "checkout-v1", "weight": 90}, {"name": "checkout-v2", "weight": 10}],
			 "sticky": {"source": "cookie", "name": "kf"}, "upstream_path": "root", "timeout": "10s", "stream_idle_timeout": "1m", "stream_max_duration": "1h",
			 "preserve_host": true, "server_timing": true}]}`},
		"every option of the handler": {handler: `{"handler": "kubefaas", "function": {"name": "hello"}, "internal": "/functions", "home": true, "health": true,
			"pass_thru": true, "encoded_path": true, "server_timing": true, "debug": true}`},
		"a function as text": {handler: `{"handler": "kubefaas", "function": "prod/hello"}`},
		"the upstream source and the transport": {handler: `{"handler": "reverse_proxy",
			"dynamic_upstreams": {"source": "kubefaas", "function": {"name": "{http.request.uri.path.0}"}, "retry": {"max_attempts": 2}},
			"transport": {"protocol": "kubefaas", "retry": {"jitter": 0.5}, "dial_timeout": "1s"}}`},
	} {
		if err := validateJSON(t, c.app, c.handler); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

func TestWrongJSONOfTheAppIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ json, want string }{
		"unknown field":                 {`{"max_waitng": 5}`, `unknown field "max_waitng"`},
		"a word where a number belongs": {`{"max_waiting": "many"}`, "max_waiting"},
		"bad duration":                  {`{"address_ttl": "soon"}`, `invalid duration \"soon\"`},
		"negative address_ttl":          {`{"address_ttl": "-1s"}`, "address_ttl: -1s is negative"},
		"negative cold_start_timeout":   {`{"cold_start_timeout": -1}`, "cold_start_timeout: -1ns is negative"},
		"negative tap_interval":         {`{"tap_interval": "-1s"}`, "tap_interval: -1s is negative"},
		"negative max_waiting":          {`{"max_waiting": -1}`, "max_waiting: -1 is negative"},
		"negative max_waiting_total":    {`{"max_waiting_total": -1}`, "max_waiting_total: -1 is negative"},
		"negative max_waiting_bytes":    {`{"max_waiting_bytes": -1}`, "max_waiting_bytes: -1 is negative"},
		"bad size":                      {`{"max_waiting_bytes": "64Mibi"}`, `bad size \"64Mibi\"`},
		"negative max_replay_body":      {`{"max_replay_body": -1}`, "max_replay_body: -1 is negative"},
		"bad header_prefix":             {`{"header_prefix": "Acme Corp"}`, `header_prefix: "Acme Corp" is not a word`},

		"function: unknown field":        {`{"functions": [{"name": "a", "timeuot": "1s"}]}`, `unknown field "timeuot"`},
		"function: no name":              {`{"functions": [{"uid": "a"}]}`, "the function has no name"},
		"function: bad name":             {`{"functions": [{"name": "a/b"}]}`, `"/" may not be in a name`},
		"function: configured twice":     {`{"functions": [{"name": "a"}, {"namespace": "default", "name": "a"}]}`, "function default/a is configured twice"},
		"function: unknown type":         {`{"functions": [{"name": "a", "executor_type": "lambda"}]}`, `function default/a: executor_type: unknown function type "lambda": it is one of poolmgr, newdeploy, container`},
		"function: unknown protocol":     {`{"functions": [{"name": "a", "protocol": "h3"}]}`, `function default/a: protocol: "h3" is neither http nor h2c`},
		"function: negative timeout":     {`{"functions": [{"name": "a", "timeout": "-1s"}]}`, "function default/a: timeout: -1s is negative"},
		"function: negative concurrency": {`{"functions": [{"name": "a", "concurrency": -1}]}`, "function default/a: concurrency: -1 is negative"},

		"retry: unknown field":             {`{"retry": {"attempts": 1}}`, `unknown field "attempts"`},
		"retry: negative initial_interval": {`{"retry": {"initial_interval": "-1s"}}`, "retry: initial_interval is -1s"},
		"retry: multiplier below one":      {`{"retry": {"multiplier": 0.5}}`, "retry: multiplier is 0.5"},
		"retry: negative max_attempts":     {`{"retry": {"max_attempts": -1}}`, "retry: max_attempts is -1"},
		"retry: negative address_attempts": {`{"retry": {"address_attempts": -1}}`, "retry: address_attempts is -1"},
		"retry: intervals reversed":        {`{"retry": {"initial_interval": "2s", "max_interval": "1s"}}`, "retry: max_interval is 1s"},
		"retry: jitter above one":          {`{"retry": {"jitter": 1.5}}`, "retry: jitter is 1.5"},
		"retry: negative jitter":           {`{"retry": {"jitter": -0.1}}`, "retry: jitter is -0.1"},

		"analytics: unknown field":     {`{"analytics": {"url": "https://a.example", "every": "1h"}}`, `unknown field "every"`},
		"analytics: no URL":            {`{"analytics": {}}`, "analytics: "},
		"analytics: bad URL":           {`{"analytics": {"url": "stats.example.com"}}`, `analytics: "stats.example.com" is not an http or https URL`},
		"analytics: negative interval": {`{"analytics": {"url": "https://a.example", "interval": "-1h"}}`, "analytics: interval: -1h0m0s is negative"},

		"executor: unknown":            {`{"executor": {"executor": "lambda"}}`, "kubefaas.executors.lambda"},
		"executor: not named":          {`{"executor": {"url": "http://a"}}`, "executor"},
		"http: unknown field":          {`{"executor": {"executor": "http", "url": "http://a", "timeout": "1s"}}`, `unknown field "timeout"`},
		"http: no URL":                 {`{"executor": {"executor": "http"}}`, "executor url"},
		"http: bad URL":                {`{"executor": {"executor": "http", "url": "ftp://a"}}`, `executor url "ftp://a"`},
		"http: unknown api":            {`{"executor": {"executor": "http", "url": "http://a", "api": "v3"}}`, `executor api "v3"`},
		"http: secret that is not set": {`{"executor": {"executor": "http", "url": "http://a", "signing_secret": "{env.KUBEFAAS_TEST_NOT_SET}"}}`, "{env.KUBEFAAS_TEST_NOT_SET}"},
		"http: unknown placeholder":    {`{"executor": {"executor": "http", "url": "http://{nope.x}"}}`, "{nope.x}"},
		"http: TLS that is not used":   {`{"executor": {"executor": "http", "url": "http://a", "tls": {}}}`, `tls: the URL "http://a" is not an https one`},
		"http: TLS, unknown field":     {`{"executor": {"executor": "http", "url": "https://a", "tls": {"servername": "a"}}}`, `unknown field "servername"`},

		"static: unknown field":  {`{"executor": {"executor": "static", "functions": [{"name": "a", "address": "b"}]}}`, `unknown field "address"`},
		"static: bad address":    {`{"executor": {"executor": "static", "functions": [{"name": "a", "addresses": ["http://b"]}]}}`, "function default/a: "},
		"static: no address":     {`{"executor": {"executor": "static", "functions": [{"name": "a"}]}}`, "function default/a has no address"},
		"static: no name":        {`{"executor": {"executor": "static", "functions": [{"addresses": ["b:1"]}]}}`, "the function has no name"},
		"static: function twice": {`{"executor": {"executor": "static", "functions": [{"name": "a", "addresses": ["b:1"]}, {"name": "a", "addresses": ["c:1"]}]}}`, "function default/a stands twice"},

		"process: unknown field":     {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "cwd": "/"}]}}`, `unknown field "cwd"`},
		"process: no command":        {`{"executor": {"executor": "process", "functions": [{"name": "a"}]}}`, "function default/a: it has no command"},
		"process: function twice":    {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"]}, {"name": "a", "command": ["y"]}]}}`, "default/a"},
		"process: reserved variable": {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "env": {"PORT": "1"}}]}}`, "env PORT"},
		"process: unknown probe":     {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "ready": {"probe": "grpc"}}]}}`, `"grpc" is neither tcp nor http`},
		"process: tcp with a path":   {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "ready": {"path": "/x"}}]}}`, "ready tcp takes no path"},
		"process: no instances":      {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "instances": {"min": 0}}]}}`, "at most 0 instances"},
		"process: reversed bounds":   {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "instances": {"min": 3, "max": 2}}]}}`, "the least number of instances, 3"},
		"process: negative timeout":  {`{"executor": {"executor": "process", "functions": [{"name": "a", "command": ["x"], "start_timeout": "-1s"}]}}`, "start_timeout is -1s"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, validateJSON(t, c.json, ""), c.want) })
	}
}

func TestWrongJSONOfAHandlerIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ json, want string }{
		"unknown field":              {`{"handler": "kubefaas", "hoem": true}`, `unknown field "hoem"`},
		"function without a name":    {`{"handler": "kubefaas", "function": {}}`, "function: the function has no name"},
		"function, unknown field":    {`{"handler": "kubefaas", "function": {"nmae": "a"}}`, `unknown field "nmae"`},
		"function, bad text":         {`{"handler": "kubefaas", "function": "a/b/c"}`, `"/" may not be in a name`},
		"internal, relative":         {`{"handler": "kubefaas", "internal": "functions"}`, `internal: the path "functions" does not begin with a slash`},
		"internal, everything":       {`{"handler": "kubefaas", "internal": "/"}`, `internal: the path "/" would hide all other paths`},
		"internal, not a plain path": {`{"handler": "kubefaas", "internal": "/a//b"}`, `internal: "/a//b" is not a plain path`},

		"trigger: unknown field":                {triggerJSON(`, "host": "a"`), `unknown field "host"`},
		"trigger: no path":                      {`{"handler": "kubefaas", "triggers": [{"name": "shop", "functions": [{"name": "a"}]}]}`, `trigger "shop": path ""`},
		"trigger: relative path":                {`{"handler": "kubefaas", "triggers": [{"path": "orders", "functions": [{"name": "a"}]}]}`, `trigger "orders": path "orders": the path does not begin with '/'`},
		"trigger: bad regexp":                   {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/{id:[}", "functions": [{"name": "a"}]}]}`, `trigger "shop": path "/{id:[}"`},
		"trigger: duplicate variable":           {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/{id}/{id}", "functions": [{"name": "a"}]}]}`, "variable {id} occurs twice"},
		"trigger: no function":                  {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/"}]}`, `trigger "shop": there is no function`},
		"trigger: empty function name":          {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{}]}]}`, `trigger "shop": function "": the function has no name`},
		"trigger: function, unknown field":      {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{"name": "a", "wieght": 1}]}]}`, `unknown field "wieght"`},
		"trigger: negative weight":              {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{"name": "a", "weight": -1}]}]}`, `trigger "shop": function default/a has the negative weight -1`},
		"trigger: fractional weight":            {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{"name": "a", "weight": 0.5}]}]}`, "0.5"},
		"trigger: weights sum to 0":             {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{"name": "a", "weight": 0}]}]}`, `trigger "shop": the weights sum up to 0`},
		"trigger: weight missing":               {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/", "functions": [{"name": "a", "weight": 1}, {"name": "b"}]}]}`, `trigger "shop": function b: it needs a weight`},
		"trigger: bad method":                   {triggerJSON(`, "methods": ["P(ST"]`), `trigger "shop": method "P(ST" is not a method`},
		"trigger: empty method":                 {triggerJSON(`, "methods": [""]`), `trigger "shop": method "" is not a method`},
		"trigger: unknown placeholder in host":  {triggerJSON(`, "hosts": ["{nope.x}.example.com"]`), `trigger "shop": host "{nope.x}.example.com": unrecognized placeholder {nope.x}`},
		"trigger: host's variable not set":      {triggerJSON(`, "hosts": ["{env.KUBEFAAS_TEST_NOT_SET}"]`), `trigger "shop": host "{env.KUBEFAAS_TEST_NOT_SET}"`},
		"trigger: host with a port":             {triggerJSON(`, "hosts": ["a.example.com:80"]`), `trigger "shop": host "a.example.com:80"`},
		"trigger: bad upstream_path":            {triggerJSON(`, "upstream_path": "cut"`), `trigger "shop": upstream_path: "cut" is not one of root, strip, keep`},
		"trigger: negative timeout":             {triggerJSON(`, "timeout": "-1s"`), `trigger "shop": timeout: -1s is negative`},
		"trigger: negative stream_idle_timeout": {triggerJSON(`, "stream_idle_timeout": "-1s"`), `trigger "shop": stream_idle_timeout: -1s is negative`},
		"trigger: negative stream_max_duration": {triggerJSON(`, "stream_max_duration": "-1s"`), `trigger "shop": stream_max_duration: -1s is negative`},
		"trigger: sticky, unknown field":        {triggerJSON(`, "sticky": {"source": "cookie", "nmae": "a"}`), `unknown field "nmae"`},
		"trigger: sticky without a source":      {triggerJSON(`, "sticky": {}`), `trigger "shop": sticky: it has no source`},
		"trigger: sticky by an unknown source":  {triggerJSON(`, "sticky": {"source": "body", "name": "a"}`), `trigger "shop": sticky "body"`},
		"trigger: sticky without a name":        {triggerJSON(`, "sticky": {"source": "cookie"}`), `trigger "shop": sticky cookie`},
		"trigger: sticky with a name too many":  {triggerJSON(`, "sticky": {"source": "client_ip", "name": "a"}`), `trigger "shop": sticky client_ip takes no name`},
		"trigger: name with a slash":            {`{"handler": "kubefaas", "triggers": [{"name": "a/b", "path": "/", "functions": [{"name": "a"}]}]}`, `trigger "a/b": name: "a/b" has a slash`},
		"two triggers of one name": {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/a", "functions": [{"name": "a"}]}, {"name": "shop", "path": "/b", "functions": [{"name": "a"}]}]}`,
			`trigger "shop": its name is taken by the trigger of path "/a"`},
		"two triggers that claim the same": {`{"handler": "kubefaas", "triggers": [{"name": "shop", "path": "/{a}", "functions": [{"name": "a"}]}, {"name": "blog", "path": "/{b}", "functions": [{"name": "a"}]}]}`,
			`trigger "blog" (path "/{b}") claims the same as trigger "shop" (path "/{a}")`},

		"source: unknown field":    {`{"handler": "reverse_proxy", "dynamic_upstreams": {"source": "kubefaas", "function": {"name": "a"}, "ttl": 1}}`, `unknown field "ttl"`},
		"source: no function":      {`{"handler": "reverse_proxy", "dynamic_upstreams": {"source": "kubefaas"}}`, "function: the function has no name"},
		"source: bad retry":        {`{"handler": "reverse_proxy", "dynamic_upstreams": {"source": "kubefaas", "function": {"name": "a"}, "retry": {"jitter": 2}}}`, "retry: jitter is 2"},
		"transport: unknown field": {`{"handler": "reverse_proxy", "transport": {"protocol": "kubefaas", "attempts": 1}}`, `unknown field "attempts"`},
		"transport: bad retry":     {`{"handler": "reverse_proxy", "transport": {"protocol": "kubefaas", "retry": {"multiplier": 0.1}}}`, "retry: multiplier is 0.1"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, validateJSON(t, "", c.json), c.want) })
	}
}

// wantError wants a text in an error. A text that JSON quoted once more is fine
// either way.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", want)
	}
	plain := strings.ReplaceAll(want, `\"`, `"`)
	if !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), plain) {
		t.Errorf("got error %q, want %q in it", err, want)
	}
}

func TestManyWrongTriggersMakeAShortMessage(t *testing.T) {
	list := make([]string, 1000)
	for i := range list {
		list[i] = `{"path": "/a", "functions": [{"name": "a"}], "upstream_path": "cut"}`
	}
	err := validateJSON(t, "", `{"handler": "kubefaas", "triggers": [`+strings.Join(list, ",")+`]}`)
	wantError(t, err, "upstream_path")
	if n := strings.Count(err.Error(), "\n"); n >= 20 {
		t.Errorf("got a message of %d lines, want fewer than 20", n+1)
	}
}

func TestSizesInJSON(t *testing.T) {
	for text, want := range map[string]Size{"1024": 1024, `"64MiB"`: 64 << 20, `"1kB"`: 1000, `"5"`: 5} {
		var got Size
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{`"much"`, `""`, `"-5MiB"`, `"9EiB"`, `true`, `1.5`} {
		var got Size
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %d, want an error", text, got)
		}
	}
}

func TestRetryDefaults(t *testing.T) {
	none, some := 0.0, 0.3
	for name, c := range map[string]struct {
		retry  *Retry
		jitter float64
	}{
		"nothing configured": {nil, 0.2},
		"nothing of jitter":  {&Retry{MaxAttempts: 3}, 0.2},
		"no jitter":          {&Retry{Jitter: &none}, -1},
		"some jitter":        {&Retry{Jitter: &some}, 0.3},
	} {
		p := c.retry.policy()
		if again := p.WithDefaults(); p.Jitter != c.jitter || again.Jitter != c.jitter {
			t.Errorf("%s: got jitter %v, and %v once more defaulted; want %v", name, p.Jitter, again.Jitter, c.jitter)
		}
		if p.InitialInterval != 50*time.Millisecond || p.Multiplier != 2 || p.AddressAttempts != 5 {
			t.Errorf("%s: got %+v, want the defaults of the documentation", name, p)
		}
	}
}

func TestMetadataOfAFunctionFallsBackToDefaults(t *testing.T) {
	static := &StaticExecutor{Functions: []StaticFunction{{Name: "hello", Addresses: []string{"127.0.0.1:9000"}}}}
	own := FunctionConfig{Name: "own", UID: "u", Timeout: caddy.Duration(time.Second), Protocol: "h2c", ExecutorType: "container", Concurrency: 4}
	app := &App{executor: static, functions: map[function.Ref]*FunctionConfig{own.ref(): &own}}
	if f := app.function(refOf("", "hello")); f.Namespace != "default" || f.Timeout != time.Minute || f.Protocol != "http" || f.ExecutorType != "poolmgr" || f.Concurrency != 0 {
		t.Errorf("got %+v, want the defaults", f)
	}
	if f := app.function(own.ref()); f.UID != "u" || f.Timeout != time.Second || f.Protocol != "h2c" || f.ExecutorType != "container" || f.Concurrency != 4 {
		t.Errorf("got %+v, want what is configured", f)
	}
}
