//go:build !linux

package process

// listensElsewhere finds nothing out here.
func listensElsewhere(int) string { return "" }
