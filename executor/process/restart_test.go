package process

import (
	"errors"
	"testing"
	"time"
)

func TestDeathsAtStartArePausedLongerAndLonger(t *testing.T) {
	r, now := newRestarts(), time.Now()
	why := errors.New("why")
	least := firstRestartPause
	for n := range 20 {
		if again := r.diedAtStart(now, why); again {
			t.Fatalf("death %d: start again at once; want a pause", n)
		}
		pause, err := r.wait(now)
		if pause < least*7/10 || pause > least*13/10 || !errors.Is(err, why) {
			t.Errorf("death %d: wait = %s, %v; want about %s and why", n, pause, err, least)
		}
		now = now.Add(pause)
		if pause, err := r.wait(now); pause != 0 || err != nil {
			t.Errorf("after death %d and its pause: wait = %s, %v; want 0, nil", n, pause, err)
		}
		least = min(2*least, lastRestartPause)
	}
	r.ready()
	r.diedAtStart(now, why)
	if pause, _ := r.wait(now); pause > 2*firstRestartPause {
		t.Errorf("after a good start the pause is %s; want the first one again", pause)
	}
	r.forgive()
	if pause, err := r.wait(now); pause != 0 || err != nil {
		t.Errorf("after forgive: wait = %s, %v; want 0, nil", pause, err)
	}
}

func TestEarlyDeathsAreWaitedForAndNotReported(t *testing.T) {
	r, now := newRestarts(), time.Now()
	for n := range 40 {
		r.ready()
		r.died(now, time.Second)
		pause, err := r.wait(now)
		if err != nil || pause > lastYoungPause*2 || (n < freeDeaths) != (pause == 0) {
			t.Errorf("death %d: wait = %s, %v; want none for the first %d, then at most about %s", n, pause, err, freeDeaths, lastYoungPause)
		}
		now = now.Add(pause)
	}
	r.died(now, grownUp)
	r.died(now, time.Second)
	if pause, _ := r.wait(now); pause != 0 {
		t.Errorf("after a long life the next early death costs %s; want nothing", pause)
	}
}

func TestATakenPortCostsNoPauseAFewTimes(t *testing.T) {
	r, now := newRestarts(), time.Now()
	for _, line := range []string{
		"listen tcp 127.0.0.1:4: bind: address already in use",
		"OSError: [Errno 98] Address already in use",
		"Error: listen EADDRINUSE: address already in use 127.0.0.1:4",
	} {
		if !r.diedAtStart(now, &ExitError{AtStart: true, Tail: []string{line, "exiting"}}) {
			t.Errorf("%q: not started again at once; want it to be", line)
		}
	}
	if r.diedAtStart(now, &ExitError{AtStart: true, Tail: []string{"address already in use"}}) {
		t.Errorf("started again at once a 4th time; want a pause")
	}
}

func TestAKilledStartCostsNoPauseAFewTimes(t *testing.T) {
	r, now := newRestarts(), time.Now()
	murder := &ExitError{AtStart: true, State: "signal: killed"}
	for n := range freeStarts {
		if !r.diedAtStart(now, murder) {
			t.Errorf("kill %d: not started again at once; want it to be", n)
		}
	}
	if r.diedAtStart(now, murder) {
		t.Error("started again at once a 4th time; want a pause")
	}
	r.ready()
	if r.diedAtStart(now, &ExitError{AtStart: true, State: "exit status 1"}) {
		t.Error("a program that ended of itself is started again at once; want a pause")
	}
}
