package nettest

import (
	"os"
	"syscall"
)

// WriteProgram writes an executable file. No process is started meanwhile: one that inherited the descriptor, up to
// its execve, would make the start of the program fail with ETXTBSY (golang.org/issue/22315).
func WriteProgram(path string, text []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, text, 0o755)
}
