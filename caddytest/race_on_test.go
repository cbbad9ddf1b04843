//go:build race

package caddytest

// raceEnabled: the race detector makes memory and time what they never are
// for users, so figures are printed but not judged, and crowds are smaller.
const raceEnabled = true

// manyClients is how many come at once where thousands are meant.
const manyClients = 400
