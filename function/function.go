package function

import "time"

// Executor types: how the remote executor runs a function.
const (
	PoolManager = "poolmgr"
	NewDeploy   = "newdeploy"
	Container   = "container"
)

// Protocols that a function speaks on its address.
const (
	HTTP = "http"
	H2C  = "h2c"
)

// Function is a function's metadata. A value is immutable once it is in use:
// requests, flights and taps share it.
type Function struct {
	Ref
	// UID and ResourceVersion are the platform's identity of the function and
	// of its present configuration; empty where there is no such platform.
	UID             string
	ResourceVersion string
	// Revision is whatever else makes a known address useless when it
	// changes: the executor that gave it, and that executor's own
	// configuration of this function.
	Revision string
	// ExecutorType is PoolManager, NewDeploy or Container.
	ExecutorType string
	// Timeout bounds the time from the request being sent to the response's
	// headers.
	Timeout time.Duration
	// Concurrency is how many requests one address gets at once; 0 is no limit.
	Concurrency int
	// Protocol is HTTP or H2C.
	Protocol string
}

// Key identifies a function at one state of its configuration. Two functions
// with one key may share addresses; with different keys they never do.
type Key struct {
	Namespace, Name, UID, ResourceVersion, Revision string
}

// Key returns the function's key.
func (f *Function) Key() Key {
	return Key{f.Namespace, f.Name, f.UID, f.ResourceVersion, f.Revision}
}
