// Command hello is a function: a program that serves HTTP on the port that
// the process executor names.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// What a trigger's path variables matched comes as headers.
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name := cmp.Or(r.Header.Get("X-Kubefaas-Params-Name"), "you")
		fmt.Fprintf(w, "%s, %s!\n", cmp.Or(os.Getenv("GREETING"), "Hello"), name)
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		if err := server.Shutdown(context.Background()); err != nil {
			log.Print(err)
		}
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-stopped
}
