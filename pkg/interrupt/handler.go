//go:build amd64 || arm64

package interrupt

// handlerAddress is where the signal handler begins.
func handlerAddress() uintptr

// restorerAddress is what the handler returns to; 0 where the kernel brings that itself.
func restorerAddress() uintptr
