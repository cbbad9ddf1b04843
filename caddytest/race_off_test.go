//go:build !race

package caddytest

const raceEnabled = false

const manyClients = 2000
