package stepper

import "syscall"

// Kind is what a call has to do with.
type Kind string

// The kinds. Calls of no kind are never shown: memory, signals, futexes, the program's own
// threads; entering a namespace or opening a socket, which ends with the process; a lock, which
// is given up by dying; fsync, which changes nothing for those that are alive.
const (
	File    Kind = "file"    // makes, writes, renames or removes a file
	Look    Kind = "look"    // opens or reads one, or a directory
	Sysctl  Kind = "sysctl"  // writes a file of /proc/sys
	Request Kind = "request" // sends netlink messages
	Answer  Kind = "answer"  // receives netlink messages
	Packet  Kind = "packet"  // sends a packet
	Result  Kind = "result"  // writes to standard output
	Child   Kind = "child"   // changes a file, and is made by a program that the program started; only signals come there
	Other   Kind = "other"   // starts a process, mounts, changes an interface by ioctl
)

// Call is one system call.
type Call struct {
	Kind     Kind
	Text     string // what it does to what: "renameat /run/a.tmp -> /run/a"
	Changing bool   // something outside the process may be different after it
	Path     string // of the file, where there is one
	N        int    // its place among the changing calls, from 1; 0 if it is none
	Seq      int    // its place among all calls shown, from 1

	socket   int    // descriptor of a request or an answer
	protocol int    // of the socket of a request
	buf      region // its messages in the program's memory
	peek     bool   // an answer that is left in the queue
}

// Step is the program standing before a call, or behind it.
type Step struct {
	*Call
	After  bool
	Result int // behind it: what it returned, an error as a negative number
}

// Act is what shall happen at a step.
type Act struct {
	what   action
	errno  syscall.Errno
	signal syscall.Signal
}

type action int

const (
	goOn action = iota
	sendSignal
	failCall
	refuse
	lose
	interrupt
)

// Go lets the program go on.
func Go() Act { return Act{} }

// Signal sends a signal to the process. SIGKILL before a call: it is not made.
func Signal(s syscall.Signal) Act { return Act{what: sendSignal, signal: s} }

// Fail has a call, before it, fail without being made.
func Fail(errno syscall.Errno) Act { return Act{what: failCall, errno: errno} }

// Refuse has the kernel, before a request, refuse each of its messages with an error; of a
// transaction of nftables the first, or with ENOMEM the whole. The error comes as the kernel's do,
// in the answer.
func Refuse(errno syscall.Errno) Act { return Act{what: refuse, errno: errno} }

// LoseAnswer lets the kernel do a request, before it, and loses the answer: receiving it is
// the error ENOBUFS, and it is gone.
func LoseAnswer() Act { return Act{what: lose, errno: syscall.ENOBUFS} }

// InterruptAnswer lets the kernel do a request, before it, and has the first receive fail with
// EINTR. The answer is still there for who asks again.
func InterruptAnswer() Act { return Act{what: interrupt, errno: syscall.EINTR} }
