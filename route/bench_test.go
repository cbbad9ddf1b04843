package route

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// mixedTriggers is n triggers of all kinds, so that the one of index i is of kind i%5
// and its request is known. Half of the expressions are shared, half are not.
func mixedTriggers(n int) []Trigger {
	triggers := make([]Trigger, n)
	for i := range triggers {
		t := &triggers[i]
		t.Functions = []Weighted{{function.Ref{Namespace: "default", Name: fmt.Sprintf("f%d", i)}, 1}}
		switch i % 5 {
		case 0:
			t.Path = fmt.Sprintf("/svc%d/orders/list", i)
			t.Methods = []string{"GET", "POST"}
		case 1:
			t.Path = fmt.Sprintf("/svc%d/orders/{id}", i)
		case 2:
			t.Path = fmt.Sprintf("/svc%d/files/*", i)
		case 3:
			t.Path = fmt.Sprintf("/svc%d/orders/{id:[0-9]+}/lines", i)
			if i%2 == 0 {
				t.Path = fmt.Sprintf("/svc%d/orders/{id:k%d-[0-9]+}/lines", i, i)
			}
		case 4:
			t.Path = "/hosted/{id}"
			t.Hosts = []string{fmt.Sprintf("h%d.example.com", i)}
		}
	}
	return triggers
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		table, err := Compile(mixedTriggers(n))
		if err != nil {
			b.Fatal(err)
		}
		at := n - 10
		for _, c := range []struct {
			name string
			q    Request
			want Outcome
		}{
			{"exact", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/list", at)}, Matched},
			{"variable", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/4711", at+1)}, Matched},
			{"prefix", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/files/a/b.png", at+2)}, Matched},
			{"regexp", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/4711/lines", at+3)}, Matched},
			{"host", Request{Host: fmt.Sprintf("H%d.example.com:8080", at+4), Method: "GET", Path: "/hosted/1"}, Matched},
			{"miss", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/list/none", at)}, NoRoute},
			{"escaped", Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/a/b", at+1), RawPath: fmt.Sprintf("/svc%d/orders/a%%2Fb", at+1)}, Matched},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				var m Match
				for b.Loop() {
					if got := table.Match(c.q, &m); got != c.want {
						b.Fatalf("got %v, want %v", got, c.want)
					}
				}
			})
		}
	}
}

// BenchmarkMatchSpread goes through requests to all triggers, so that a large
// table does not sit in the processor's caches: the rest of the difference
// between 10 and 100,000 triggers is the memory's.
func BenchmarkMatchSpread(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		table, err := Compile(mixedTriggers(n))
		if err != nil {
			b.Fatal(err)
		}
		requests := make([]Request, 1<<16)
		for i := range requests {
			at := i * 7919 % n
			q := &requests[i]
			*q = Request{Host: "example.com", Method: "GET", Path: fmt.Sprintf("/svc%d/orders/list", at)}
			switch at % 5 {
			case 2:
				q.Path = fmt.Sprintf("/svc%d/files/a/b.png", at)
			case 3:
				q.Path = fmt.Sprintf("/svc%d/orders/k%d-12/lines", at, at)
			case 4:
				q.Host, q.Path = fmt.Sprintf("h%d.example.com", at), "/hosted/1"
			}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var m Match
			for i := range requests { // the expressions are compiled now
				table.Match(requests[i], &m)
			}
			for i := 0; b.Loop(); i++ {
				table.Match(requests[i%len(requests)], &m)
			}
		})
	}
}

// BenchmarkCompile100k reports what a table of 100,000 triggers costs beside the
// triggers themselves: seconds to compile, and MB of live heap.
func BenchmarkCompile100k(b *testing.B) {
	triggers := mixedTriggers(100_000)
	var table *Table
	before := liveHeap()
	start := time.Now()
	rounds := 0
	for b.Loop() {
		var err error
		if table, err = Compile(triggers); err != nil {
			b.Fatal(err)
		}
		rounds++
	}
	b.ReportMetric(time.Since(start).Seconds()/float64(rounds), "s/compile")
	b.ReportMetric(float64(liveHeap()-before)/1e6, "MB-live")
	runtime.KeepAlive(table)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
