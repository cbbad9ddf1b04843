package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nginxConfig is nginx as one process with one worker. %[1]s is where it
// listens, %[2]s the backend, %[3]s a folder of its own. A connection serves as
// many requests as it gets, as Caddy's do.
const nginxConfig = `
daemon off;
master_process off;
worker_processes 1;
error_log stderr;
pid %[3]s/nginx.pid;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %[3]s;
	proxy_temp_path %[3]s;
	fastcgi_temp_path %[3]s;
	uwsgi_temp_path %[3]s;
	scgi_temp_path %[3]s;
	upstream backend {
		server %[2]s;
		keepalive 256;
		keepalive_requests 1000000000;
	}
	server {
		listen %[1]s;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		}
	}
}
`

// haproxyConfig is HAProxy in the foreground.
const haproxyConfig = `
global
	maxconn 4096
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	http-reuse always
	option forwardfor
frontend clients
	bind %[1]s
	default_backend functions
backend functions
	server function %[2]s
`

// installed reports whether a program is on the PATH.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func startNginx(w *world) (*proxy, error) {
	return startOther(w, "nginx", nginxConfig, func(file, dir string) []string {
		return []string{"-p", dir, "-e", "stderr", "-c", file}
	})
}

func startHAProxy(w *world) (*proxy, error) {
	return startOther(w, "haproxy", haproxyConfig, func(file, _ string) []string { return []string{"-db", "-f", file} })
}

// startOther runs a proxy that is not Caddy, in front of the backend's small
// function.
func startOther(w *world, program, config string, args func(file, dir string) []string) (*proxy, error) {
	dir, err := os.MkdirTemp(w.dir, program)
	if err != nil {
		return nil, err
	}
	return withFreePorts(1, func(addrs []string) (*proxy, error) {
		file := filepath.Join(dir, program+".conf")
		text := fmt.Sprintf(config, addrs[0], w.backend.Small, dir)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		child, err := startChild(exec.Command(program, args(file, dir)...))
		if err != nil {
			return nil, err
		}
		return &proxy{child: child, addr: addrs[0]}, nil
	})
}
