// Package stepper runs one exec of a program under ptrace and stops it before and behind each
// system call that matters to somebody else: files, sysctls, netlink, packets, the result. At
// each stop the caller may kill it, send it a signal, or make the call fail. It counts calls of
// the whole process and not of a thread, so that a program whose work wanders from thread to
// thread, as every Go program's does, has the same calls in the same order in every run.
// It never judges what the program did, and knows nothing of what program it is.
package stepper
