package process

import (
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// EventKind is what happened to an instance.
type EventKind string

// Kinds of events.
const (
	EventStart EventKind = "start"
	EventReady EventKind = "ready"
	EventStop  EventKind = "stop"
	// EventCrash is also a program that could not be started, or was not
	// ready in time.
	EventCrash EventKind = "crash"
)

// Event is something that happened to an instance, for somebody who watches.
type Event struct {
	Kind     EventKind
	Function function.Ref
	// Pid is 0 for a program that could not be started.
	Pid     int
	Address string
	At      time.Time
	// Took is the time since the program was started.
	Took time.Duration
	// Err says why, for EventCrash: an *ExitError or a *StartError.
	Err error
}

// State is what an instance is doing.
type State string

// States of an instance, and of a function that has none.
const (
	StateStarting State = "starting"
	StateReady    State = "ready"
	StateStopping State = "stopping" // it finishes its requests, or was told to end
	StateIdle     State = "idle"     // no instance, and none is needed
	StateFailing  State = "failing"  // no instance: the last start failed, the next waits for the back-off
)

// Status is one instance in a snapshot, or a function without any.
type Status struct {
	Function function.Ref `json:"-"`
	Name     string       `json:"function"`
	State    State        `json:"state"`
	Pid      int          `json:"pid,omitempty"`
	Address  string       `json:"address,omitempty"`
	Started  time.Time    `json:"started,omitzero"`
	// Restarts counts the function's starts that followed a crash.
	Restarts int `json:"restarts"`
	// LastExit says how the function's last crash came about; it is empty
	// when there was none.
	LastExit   string    `json:"last_exit,omitempty"`
	LastExitAt time.Time `json:"last_exit_at,omitzero"`
}
