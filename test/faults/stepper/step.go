package stepper

import "syscall"

// Kind is the kind of a call.
type Kind string

// The kinds. Other calls are not reported: memory, signals, futexes and threads of the program; entering a namespace or opening a socket,
// which ends with the process.
const (
	File    Kind = "file"    // creates, writes, renames or removes a file
	Read    Kind = "read"    // opens or reads a file or directory, or takes a lock
	Sysctl  Kind = "sysctl"  // writes a file of /proc/sys
	Request Kind = "request" // sends netlink messages
	Reply   Kind = "reply"   // receives netlink messages
	Packet  Kind = "packet"  // sends a packet
	Result  Kind = "result"  // writes to standard output
	Child   Kind = "child"   // changes a file, made by a child process; only signals are possible there
	Other   Kind = "other"   // starts a process, mounts, changes an interface by ioctl
	Sync    Kind = "sync"    // fsync; only with Program.Details
)

// Call is one system call.
type Call struct {
	Kind     Kind
	Text     string // what it does to what: "renameat /run/a.tmp -> /run/a"
	Changing bool   // it may change something outside of the process
	Path     string // of the file, if any
	N        int    // number among the changing calls, from 1; 0 if it is none
	Seq      int    // number among all reported calls, from 1
	Detail   Detail // of kinds File and Sync with Program.Details

	socket   int    // descriptor of a request or reply
	protocol int    // of the socket of a request
	buf      region // its messages in the program's memory
	peek     bool   // the reply stays in the queue
}

// Step is a stop before or after a call.
type Step struct {
	*Call
	After   bool
	Result  int // if After: the return value, an error as a negative number
	Process int // PID of the process that makes the call
}

// Act is what happens at a step.
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

// Go continues the program.
func Go() Act { return Act{} }

// Signal sends a signal to the process. After SIGKILL before a call, the call is not made.
func Signal(s syscall.Signal) Act { return Act{what: sendSignal, signal: s} }

// Fail makes the call that follows fail without executing it.
func Fail(errno syscall.Errno) Act { return Act{what: failCall, errno: errno} }

// Refuse makes the kernel refuse each message of the request that follows; of an nftables transaction the first, or with ENOMEM the whole.
// The program receives the error in the kernel's reply.
func Refuse(errno syscall.Errno) Act { return Act{what: refuse, errno: errno} }

// LoseReply lets the kernel execute the request that follows and loses the reply: receiving fails with ENOBUFS.
func LoseReply() Act { return Act{what: lose, errno: syscall.ENOBUFS} }

// InterruptReply lets the kernel execute the request that follows and makes the first receive fail with EINTR. A second receive gets the reply.
func InterruptReply() Act { return Act{what: interrupt, errno: syscall.EINTR} }
