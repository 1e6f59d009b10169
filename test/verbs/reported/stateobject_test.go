package reported

import (
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// stepped runs an ADD and calls a function at each of its system calls.
func (a *called) stepped(t *testing.T, watch func(stepper.Step) stepper.Act) nettest.Answer {
	t.Helper()
	program := stepper.Program{Path: nettest.Patchbay(t), Stdin: a.conf.JSON(t), Env: []string{
		"CNI_COMMAND=ADD", "CNI_PATH=/nowhere", "CNI_CONTAINERID=" + a.c.ID(), "CNI_NETNS=" + a.c.Path(), "CNI_IFNAME=eth0",
	}}
	var ending stepper.Ending
	var err error
	a.h.Do(func() { ending, err = stepper.Run(program, watch) })
	if err != nil || ending.TimedOut {
		t.Fatalf("step ADD, which ended in time: %t: %v", !ending.TimedOut, err)
	}
	return nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
}

// refusing runs an ADD and makes the first system call with this text fail.
func (a *called) refusing(t *testing.T, text string, act stepper.Act) nettest.Answer {
	t.Helper()
	met := false
	answer := a.stepped(t, func(s stepper.Step) stepper.Act {
		if met || s.After || !strings.Contains(s.Text, text) {
			return stepper.Go()
		}
		met = true
		return act
	})
	if !met {
		t.Fatalf("ADD did not call %q: %s", text, answer)
	}
	return answer
}

// advised is one errno of one object, and the expected remedy.
type advised struct {
	text         string // text of the system call that fails
	act          stepper.Act
	code         uint
	msg, details string
	without      string // text that details must not contain
}

func (a *called) advises(t *testing.T, all ...advised) {
	t.Helper()
	for _, want := range all {
		e := a.refusing(t, want.text, want.act).Error(t)
		if e.Code != want.code || !strings.Contains(e.Msg, want.msg) || !strings.Contains(e.Details, want.details) {
			t.Errorf("%s: code %d, %q, details %q; want %d, %q, %q", want.text, e.Code, e.Msg, e.Details, want.code, want.msg, want.details)
		}
		if want.without != "" && strings.Contains(e.Details, want.without) {
			t.Errorf("%s: details %q advise %q", want.text, e.Details, want.without)
		}
		a.h.NoLeaks(t)
	}
}

func netlinkRefuses(t *testing.T) {
	a := stated(t, routed())
	const link = "RTM_NEWLINK"
	a.advises(t,
		advised{text: link, act: stepper.Refuse(syscall.EACCES), code: 999, msg: "create bridge cni0: permission denied", details: "a security module of the kernel refused it", without: "stateDir"},
		advised{text: link, act: stepper.Refuse(syscall.EROFS), code: 999, msg: "create bridge cni0: read-only file system", details: "the kernel refused the request", without: "stateDir"},
		advised{text: link, act: stepper.Refuse(syscall.EPERM), code: 999, msg: "create bridge cni0: operation not permitted", details: "CAP_NET_ADMIN", without: "stateDir"},
		advised{text: link, act: stepper.Refuse(syscall.ENOSPC), code: 999, msg: "create bridge cni0: no space left on device", details: "the kernel refused the request", without: "state directory"},
		advised{text: link, act: stepper.Refuse(syscall.EOPNOTSUPP), code: 999, msg: "create bridge cni0: operation not supported", details: "modprobe bridge veth"},
		advised{text: link, act: stepper.Refuse(syscall.ENOBUFS), code: 11, msg: "create bridge cni0: no buffer space available", details: "no memory"},
	)
}

func sysctlRefuses(t *testing.T) {
	a := stated(t, routed())
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EROFS, syscall.EPERM} {
		a.advises(t, advised{
			text: "sysctl net/ipv4/ip_forward", act: stepper.Fail(errno), code: 109, msg: "set net.ipv4.ip_forward to 1: " + errno.Error(),
			details: "sysctl -w net.ipv4.ip_forward=1 as root of the host, or let the plugin write below /proc/sys", without: "stateDir",
		})
	}
}

func stateRefuses(t *testing.T) {
	a := stated(t, routed())
	const record = "/run/patchbay/net/"
	a.advises(t,
		advised{text: record, act: stepper.Fail(syscall.EACCES), code: 5, msg: "permission denied", details: "set stateDir"},
		advised{text: record, act: stepper.Fail(syscall.EPERM), code: 5, msg: "operation not permitted", details: "set stateDir", without: "CAP_NET_ADMIN"},
		advised{text: record, act: stepper.Fail(syscall.ENOSPC), code: 5, msg: "no space left on device", details: "file system of the state directory (df -h, df -i)"},
		advised{text: record, act: stepper.Fail(syscall.EDQUOT), code: 5, msg: "disk quota exceeded", details: "file system of the state directory (df -h, df -i)"},
		advised{text: record, act: stepper.Fail(syscall.EROFS), code: 5, msg: "read-only file system", details: "set stateDir"},
	)
}

// weak is a user who has only the capabilities that an ADD needs, and a state directory.
func (a *called) weak(t *testing.T) {
	t.Helper()
	nettest.Need(t, nettest.Tool("setpriv"))
	a.h.Run(t, "install", "-d", "-m", "0700", "-o", "65534", "/run/patchbay", "/run/plugin")
	a.h.Run(t, "install", "-m", "0755", nettest.Patchbay(t), "/run/plugin/patchbay")
	a.h.Baseline()
	const caps = "-all,+net_admin,+sys_admin,+net_raw"
	a.program = nettest.Script(t, "exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set="+caps+" --inh-caps="+caps+" --ambient-caps="+caps+" /run/plugin/patchbay")
}

// namespaceRefuses: opening the network namespace of a root process through /proc requires permission to trace that
// process.
func namespaceRefuses(t *testing.T) {
	a := stated(t, routed())
	a.weak(t)
	call := nettest.Call{Command: "ADD", ContainerID: a.c.ID(), Netns: "/proc/1/ns/net", IfName: "eth0", Plugin: a.program, Config: a.conf.JSON(t)}
	e := a.h.CNI(t, call).Error(t)
	if e.Code != 999 || !strings.Contains(e.Msg, "open network namespace /proc/1/ns/net: ") || !strings.Contains(e.Msg, "permission denied") ||
		!strings.Contains(e.Details, "CAP_SYS_PTRACE") || strings.Contains(e.Details, "stateDir") {
		t.Errorf("%v, details %q", e, e.Details)
	}
	a.h.NoLeaks(t)
}

func configuredFileRefuses(t *testing.T) {
	ipam := cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}
	a := stated(t, routed())
	a.weak(t)
	a.h.Run(t, "install", "-m", "0600", "/dev/null", "/run/secret.conf")
	a.h.Baseline()
	for path, why := range map[string]string{"/run/secret.conf": "permission denied", "/run/nowhere.conf": "no such file or directory"} {
		a.conf = routed(cni.Conf{"ipam": cni.Conf(ipam).With(cni.Conf{"resolvConf": path})})
		a.fails(t, "ADD", 5, "read ipam.resolvConf: ", "set ipam.resolvConf to a file that the plugin can read")
		a.fails(t, "STATUS", 50, why, "set ipam.resolvConf to a file that the plugin can read")
		if e := a.run(t, "ADD").Error(t); strings.Contains(e.Details, "stateDir") {
			t.Errorf("details are %q", e.Details)
		}
	}
	a.h.NoLeaks(t)
}

// undoRefuses: the details name what an ADD could not undo, and that nothing was left behind only if so. While the host interface
// exists, record and addresses stay.
func undoRefuses(t *testing.T) {
	const nothing, something = "nothing was left behind; ", ", the record and the addresses in it; call DEL, which removes what could not be undone; "
	a := stated(t, routed())
	const fix, code = "keep the plugin's stdout open until it exits", 5
	for _, stays := range []bool{false, true} {
		failed := false
		e := a.stepped(t, func(s stepper.Step) stepper.Act {
			switch {
			case s.After:
			case strings.Contains(s.Text, "write standard output") && !failed: // the error is written to stdout too
				failed = true
				return stepper.Fail(syscall.EPIPE)
			case strings.Contains(s.Text, "RTM_DELLINK") && stays:
				return stepper.Refuse(syscall.EBUSY)
			}
			return stepper.Go()
		}).Error(t)
		name, want := "", nothing+fix
		if stays {
			name, _, _ = strings.Cut(strings.TrimPrefix(e.Details, "left behind: host interface "), ",")
			want = "left behind: host interface " + name + something + fix
		}
		if e.Code != code || e.Details != want {
			t.Errorf("code %d, details %q; want %d, %q", e.Code, e.Details, code, want)
		}
		if stays { // the record is there too: without it the code is 101
			a.h.Run(t, "ip", "link", "show", "dev", name)
			a.fails(t, "ADD", 100, "already attached: container "+a.c.ID()+" has eth0", "call DEL first")
		}
		a.run(t, "DEL").OK(t)
		a.h.NoLeaks(t)
	}
}
