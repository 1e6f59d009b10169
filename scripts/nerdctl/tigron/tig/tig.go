// Package tig stands for nerdctl's package of this path, a module without a version that nerdctl's own go.mod replaces by a folder. nerdctl
// links one interface of it.
package tig

// T is the part of testing.T that nerdctl's code calls.
type T interface {
	Log(args ...any)
	FailNow()
}
