package kubefaas

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
	"github.com/kubefaas/caddy-kubefaas/function"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "kubefaas",
		Short: "Runs programs as functions",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(runCommand())
		},
	})
}

// runCommand is `caddy kubefaas run`.
func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --function <name>='<program> [<args>]' [--function ...] [--listen <addr>]",
		Short: "Runs programs as functions, without a configuration file",
		Long: `
Each program is a function: it is started by the first request for
/<name>/ and gets the port to listen on as PORT in its environment. It is
stopped when nobody has called it for two minutes.

	caddy kubefaas run --function hello='python3 hello.py'
	curl http://localhost:8080/hello/

No shell reads the program's line, but quotes in it are understood.
`,
		RunE: caddycmd.WrapCommandFuncForCobra(runFunctions),
	}
	cmd.Flags().StringArrayP("function", "f", nil, "A function: <name>='<program> [<args>]'; may be repeated")
	cmd.Flags().StringP("listen", "l", ":8080", "The address to listen on")
	cmd.Flags().BoolP("debug", "d", false, "Tell clients all that is known of a failure")
	return cmd
}

func runFunctions(flags caddycmd.Flags) (int, error) {
	lines, err := flags.GetStringArray("function")
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	functions, err := parseFunctionLines(lines)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	listen := flags.String("listen")
	config, err := runConfig(functions, listen, flags.Bool("debug"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	caddy.TrapSignals()
	tell := (&terminal{out: os.Stdout, base: baseURL(listen)}).tell
	processEvents.Store(&tell)
	if err := caddy.Run(config); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	for _, f := range functions {
		fmt.Printf("%s: %s/%s/\n", f.Name, baseURL(listen), f.Name)
	}
	select {}
}

// parseFunctionLines reads the values of --function.
func parseFunctionLines(lines []string) ([]ProcessFunction, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("no function: say --function <name>='<program> [<args>]'")
	}
	var functions []ProcessFunction
	seen := make(map[string]bool)
	for _, line := range lines {
		name, command, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("--function %q: it is <name>='<program> [<args>]'", line)
		}
		if err := (function.Ref{Namespace: function.DefaultNamespace, Name: name}).Validate(); err != nil {
			return nil, fmt.Errorf("--function %q: %w", line, err)
		}
		if seen[name] {
			return nil, fmt.Errorf("--function %s: given twice", name)
		}
		seen[name] = true
		words, err := shellwords.Parse(command)
		if err != nil {
			return nil, fmt.Errorf("--function %s: reading the program's line: %w", name, err)
		}
		if len(words) == 0 {
			return nil, fmt.Errorf("--function %s: no program", name)
		}
		functions = append(functions, ProcessFunction{Name: name, Command: words})
	}
	return functions, nil
}

// runConfig is the configuration of `caddy kubefaas run`.
func runConfig(functions []ProcessFunction, listen string, debug bool) (*caddy.Config, error) {
	if _, err := caddy.ParseNetworkAddress(listen); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	handler := &Handler{Debug: debug}
	for _, f := range functions {
		handler.Triggers = append(handler.Triggers, Trigger{
			Name: f.Name, Path: "/" + f.Name + "/*", Functions: []WeightedFunction{{Name: f.Name}},
		})
	}
	app := &App{ExecutorRaw: caddyconfig.JSONModuleObject(&ProcessExecutor{Functions: functions}, "executor", "process", nil)}
	http := caddyhttp.App{Servers: map[string]*caddyhttp.Server{"functions": {
		Listen:    []string{listen},
		AutoHTTPS: &caddyhttp.AutoHTTPSConfig{Disabled: true},
		Routes: caddyhttp.RouteList{{
			HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(handler, "handler", appID, nil)},
		}},
	}}}
	persist := false
	return &caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &persist}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}},
			// What the programs print; what becomes of them is shown by terminal.
			"output": {Include: []string{"kubefaas.process.output"}},
		}},
		AppsRaw: caddy.ModuleMap{"http": caddyconfig.JSON(http, nil), appID: caddyconfig.JSON(app, nil)},
	}, nil
}

// baseURL is where a server that listens on an address is reached from here.
func baseURL(listen string) string {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil {
		return "http://" + listen
	}
	host := address.Host
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(address.StartPort))
}

// terminal shows what becomes of functions, a line each.
type terminal struct {
	mu   sync.Mutex
	out  io.Writer
	base string
}

func (t *terminal) tell(e process.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%s  %-16s %-5s", e.At.Format(time.TimeOnly), e.Function.Name, e.Kind)
	if e.Pid != 0 {
		line += fmt.Sprintf("  pid %d", e.Pid)
	}
	switch e.Kind {
	case process.EventReady:
		line += fmt.Sprintf("  after %s  %s/%s/", e.Took.Round(time.Millisecond), t.base, e.Function.Name)
	case process.EventCrash:
		line += fmt.Sprintf("  after %s", e.Took.Round(time.Millisecond))
		if e.Err != nil {
			line += "  " + detail(e.Err)
		}
	}
	fmt.Fprintln(t.out, line)
}
