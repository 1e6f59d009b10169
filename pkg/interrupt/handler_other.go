//go:build !amd64 && !arm64

package interrupt

// There is no handler for this machine: os/signal catches the signals.
func handlerAddress() uintptr  { return 0 }
func restorerAddress() uintptr { return 0 }
