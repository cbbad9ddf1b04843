package invoke

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/retry"
)

// slowBody is a client that sends when told to.
type slowBody struct {
	parts chan string
	err   error
}

func (b *slowBody) Read(p []byte) (int, error) {
	part, ok := <-b.parts
	if !ok {
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	return copy(p, part), nil
}

func (b *slowBody) Close() error { return nil }

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	return string(b)
}

func body(s string, length, limit int64) *Body {
	return NewBody(io.NopCloser(strings.NewReader(s)), length, limit)
}

func TestBodyCanBeReadAgainUpToItsLimit(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		text   string
		length int64
		limit  int64
		again  retry.Body
	}{
		"a known length below the limit":   {"hello", 5, 64, retry.Buffered},
		"an unknown length below it":       {"hello", -1, 64, retry.Buffered},
		"as long as the limit":             {"hello", 5, 5, retry.Buffered},
		"longer than the limit":            {"hello", 5, 4, retry.Consumed},
		"unknown and longer than it":       {long, -1, 64 << 10, retry.Consumed},
		"long, but below the limit":        {long, -1, 200_000, retry.Buffered},
		"long, known, below the limit":     {long, 100_000, 200_000, retry.Buffered},
		"a limit of nothing keeps nothing": {"hello", 5, 0, retry.Consumed},
	} {
		t.Run(name, func(t *testing.T) {
			b := body(c.text, c.length, c.limit)
			if got := b.State(); got != retry.Untouched {
				t.Errorf("State before the first byte = %v, want Untouched", got)
			}
			if got := read(t, b.Reader()); got != c.text {
				t.Fatalf("the first attempt read %d bytes, want %d", len(got), len(c.text))
			}
			if got := b.State(); got != c.again {
				t.Fatalf("State = %v, want %v", got, c.again)
			}
			if c.again == retry.Buffered {
				if got := read(t, b.Reader()); got != c.text {
					t.Errorf("the second attempt read %d bytes, want %d", len(got), len(c.text))
				}
			}
		})
	}
}

func TestASecondAttemptGetsWhatTheFirstLeftUnread(t *testing.T) {
	b := body("hello world", 11, 64)
	first := b.Reader()
	if _, err := io.ReadFull(first, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b.Reader()); got != "hello world" {
		t.Errorf("the second attempt read %q, want all of it", got)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, errBodyClosed) {
		t.Errorf("the first attempt's reader returned %v, want errBodyClosed", err)
	}
}

func TestHoldReadsInTheBackgroundWithinTheBudget(t *testing.T) {
	var budget Budget
	b := body("hello", 5, 64)
	if !b.Hold(&budget, 100) {
		t.Fatal("Hold refused a body that fits")
	}
	eventually(t, "the body is read", func() bool { return b.Idle() && b.State() == retry.Buffered })
	if got := budget.Held(); got != 5 {
		t.Errorf("the budget holds %d bytes, want 5", got)
	}
	if got := read(t, b.Reader()); got != "hello" {
		t.Errorf("read %q, want hello", got)
	}
	b.Close()
	if got := budget.Held(); got != 0 {
		t.Errorf("after Close the budget holds %d bytes, want 0", got)
	}
}

func TestHoldReadsNothingBeyondItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		length, limit, most int64
	}{
		"larger than one body may be":   {65, 64, 1000},
		"more than the budget has":      {50, 64, 40},
		"unknown, counted as the limit": {-1, 64, 63},
	} {
		t.Run(name, func(t *testing.T) {
			var budget Budget
			b := body(strings.Repeat("x", 50), c.length, c.limit)
			if b.Hold(&budget, c.most) {
				t.Error("Hold took the body")
			}
			if got := b.State(); got != retry.Untouched {
				t.Errorf("State = %v, want Untouched", got)
			}
			if got := budget.Held(); got != 0 {
				t.Errorf("the budget holds %d bytes, want 0", got)
			}
		})
	}
}

func TestAnAttemptReadsOnWhileTheBodyIsHeld(t *testing.T) {
	var budget Budget
	src := &slowBody{parts: make(chan string)}
	b := NewBody(src, -1, 64)
	b.Hold(&budget, 100)
	src.parts <- "one "
	r := b.Reader()
	got := make([]byte, 4)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "one " {
		t.Fatalf("read %q, %v; want the first part", got, err)
	}
	go func() {
		src.parts <- "two"
		close(src.parts)
	}()
	if rest := read(t, r); rest != "two" {
		t.Errorf("read %q, want the second part", rest)
	}
}

func TestSettleGivesUpWhatWasRead(t *testing.T) {
	var budget Budget
	b := body("hello", 5, 64)
	b.Hold(&budget, 100)
	eventually(t, "the body is read", b.Idle)
	r := b.Reader()
	b.Settle()
	if got := read(t, r); got != "hello" {
		t.Fatalf("read %q, want hello", got)
	}
	if got := budget.Held(); got != 0 {
		t.Errorf("the budget holds %d bytes after the body was sent, want 0", got)
	}
}

func TestCloseEndsAReaderThatWaits(t *testing.T) {
	src := &slowBody{parts: make(chan string)}
	b := NewBody(src, -1, 64)
	r := b.Reader()
	done := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 8))
		done <- err
	}()
	eventually(t, "somebody reads", func() bool { return !b.Idle() })
	b.Close()
	close(src.parts) // what a deadline on the connection does
	if err := <-done; !errors.Is(err, errBodyClosed) {
		t.Errorf("Read returned %v, want errBodyClosed", err)
	}
	b.Wait()
	if !b.Idle() {
		t.Error("after Wait somebody still reads")
	}
}

// Whoever is told that somebody reads sets a deadline on the connection, and
// that ends the connection's later requests if nobody does.
func TestABodyIsIdleOnceClosedThoughItsFillHasNotRun(t *testing.T) {
	b := body("all of it", 9, 100)
	b.mu.Lock() // as if Hold had begun a fill that the scheduler has yet to run
	b.filling = true
	b.mu.Unlock()
	if got := read(t, b.Reader()); got != "all of it" {
		t.Fatalf("got %q, want the body", got)
	}
	b.Close()
	if !b.Idle() {
		t.Error("got a body that somebody reads, want an idle one: it has ended")
	}
	b.Wait()
	b.fill() // reads nothing
}

func TestAFailingClientIsTheBodysFailure(t *testing.T) {
	broken := errors.New("connection reset")
	src := &slowBody{parts: make(chan string), err: broken}
	close(src.parts)
	b := NewBody(src, -1, 64)
	if _, err := b.Reader().Read(make([]byte, 8)); !errors.Is(err, broken) {
		t.Errorf("Read returned %v, want the client's error", err)
	}
	if got := b.failure(); !errors.Is(got, broken) {
		t.Errorf("failure = %v, want the client's error", got)
	}
	whole := body("x", 1, 64)
	read(t, whole.Reader())
	if got := whole.failure(); got != nil {
		t.Errorf("failure of a whole body = %v, want nil", got)
	}
}

func TestBufferedSaysWhetherReadingWaits(t *testing.T) {
	var budget Budget
	b := body("hello", 5, 64)
	if r := b.Reader().(*bodyReader); r.Buffered() {
		t.Error("Buffered before anything was read")
	}
	b.Hold(&budget, 100)
	eventually(t, "the body is held", func() bool { return b.Reader().(*bodyReader).Buffered() })
}

func TestBudgetNeverHoldsMoreThanItMay(t *testing.T) {
	var b Budget
	done := make(chan int)
	for range 8 {
		go func() {
			taken := 0
			for range 1000 {
				if b.take(3, 10_000) {
					taken += 3
				}
			}
			done <- taken
		}()
	}
	sum := 0
	for range 8 {
		sum += <-done
	}
	if sum > 10_000 || int64(sum) != b.Held() {
		t.Errorf("took %d, held %d; want the same, at most 10000", sum, b.Held())
	}
}

// FuzzBody reads bodies in pieces over several attempts, and expects the last
// to get all of it whenever the state says that it can.
func FuzzBody(f *testing.F) {
	f.Add([]byte("hello"), uint16(64), uint8(2), true)
	f.Add([]byte("hello"), uint16(2), uint8(3), false)
	f.Fuzz(func(t *testing.T, text []byte, limit uint16, first uint8, known bool) {
		length := int64(-1)
		if known {
			length = int64(len(text))
		}
		b := NewBody(io.NopCloser(bytes.NewReader(text)), length, int64(limit))
		got, _ := io.ReadAll(io.LimitReader(b.Reader(), int64(first)))
		if !bytes.Equal(got, text[:min(len(text), int(first))]) {
			t.Fatalf("the first attempt read %q of %q", got, text)
		}
		if b.State() == retry.Consumed {
			return
		}
		again, err := io.ReadAll(b.Reader())
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("the second attempt read %q, %v; want %q", again, err, text)
		}
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come true: %s", what)
		}
	}
}

func TestABodyIsLostOnceAReadPastTheLimitWaits(t *testing.T) {
	src := &slowBody{parts: make(chan string)}
	b := NewBody(src, -1, 5)
	first := b.Reader()
	go func() { src.parts <- "hello" }()
	if _, err := io.ReadFull(first, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = first.Read(make([]byte, 8)) // waits for the client, past what is kept
	}()
	eventually(t, "the read past the limit waits", func() bool { return !b.Idle() })
	if got := b.State(); got != retry.Consumed {
		t.Errorf("State = %v, want Consumed: what comes now goes to the first attempt", got)
	}
	src.parts <- "more"
	<-done
}
