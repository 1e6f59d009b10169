// Package stepper runs a program under ptrace and stops it before and after each system call with an effect outside of the process: files,
// sysctls, netlink, packets, standard output. At each stop the caller may kill it, send it a signal, or make the call fail.
// Calls are numbered per process, not per thread: the Go runtime moves work between threads, and the calls of a program have the same order
// in every run.
// It does not check what the program does, and works with any program.
package stepper
