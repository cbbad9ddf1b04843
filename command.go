package kubefaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"

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
/<name>/ and listens on 127.0.0.1, at the port that it finds as PORT in its
environment. It is stopped when nobody has called it for two minutes.

	caddy kubefaas run --function hello='python3 hello.py'
	curl http://localhost:8080/hello/

No shell reads the program's line, but quotes in it are understood. What
becomes of the programs is shown on standard output, what they print on
standard error.
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
	base, err := baseURL(listen)
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("--listen %q: %w", listen, err)
	}
	caddy.TrapSignals()
	tell := (&terminal{out: os.Stdout, base: base}).tell
	processEvents.Store(&tell)
	if err := caddy.Run(runConfig(functions, listen, flags.Bool("debug"))); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	for _, f := range functions {
		fmt.Printf("%s: %s/%s/\n", f.Name, base, f.Name)
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
		words, err := splitLine(command)
		if err != nil {
			return nil, fmt.Errorf("--function %s: the program's line %q: %w", name, command, err)
		}
		functions = append(functions, ProcessFunction{Name: name, Command: words})
	}
	return functions, nil
}

// splitLine reads a program's line as a shell would, as far as quotes go. What
// only a shell could do is refused, not ignored.
func splitLine(line string) ([]string, error) {
	p := shellwords.NewParser()
	words, err := p.Parse(line)
	switch {
	case err != nil:
		return nil, errors.New("a quote or a parenthesis is left open")
	case p.Position >= 0:
		return nil, fmt.Errorf("no shell reads it: %q has to be quoted", []rune(line)[p.Position])
	case len(words) == 0 || words[0] == "":
		return nil, errors.New("it names no program")
	}
	return words, nil
}

// runConfig is the configuration of `caddy kubefaas run`.
func runConfig(functions []ProcessFunction, listen string, debug bool) *caddy.Config {
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
			// What becomes of the programs is shown by terminal.
			"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}, Exclude: []string{"kubefaas.process"}},
			"output":  {BaseLog: caddy.BaseLog{EncoderRaw: outputEncoder()}, Include: []string{"kubefaas.process.output"}},
		}},
		AppsRaw: caddy.ModuleMap{"http": caddyconfig.JSON(http, nil), appID: caddyconfig.JSON(app, nil)},
	}
}

// outputEncoder writes what programs print: the time, the text, whose it is.
func outputEncoder() json.RawMessage {
	none := ""
	lines := logging.ConsoleEncoder{LogEncoderConfig: logging.LogEncoderConfig{
		LevelKey: &none, NameKey: &none, TimeFormat: time.TimeOnly, TimeLocal: true,
	}}
	return caddyconfig.JSONModuleObject(lines, "format", "console", nil)
}

// baseURL is where a server that listens on an address is reached from here.
func baseURL(listen string) (string, error) {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil {
		return "", err
	}
	if address.Network != "tcp" || address.StartPort == 0 || address.PortRangeSize() != 1 {
		return "", errors.New("it has to be [<host>]:<port>")
	}
	host := address.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(address.StartPort))), nil
}
