package chaos

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// outcome is how the call of a list ended.
type outcome int

// Outcomes.
const (
	succeeded outcome = iota
	failed            // with an error that the circumstances explain
	killed
)

// killer says when to kill a call: plugin of the list, and after how long. The zero value kills nothing.
type killer struct {
	plugin int
	after  time.Duration
	again  bool // the call repeats an ADD that was killed
}

// killer chooses one.
func (c *caller) killer(kill bool) killer {
	plugin, after := c.random.IntN(5), time.Duration(c.random.IntN(40_000))*time.Microsecond
	if !kill {
		return killer{}
	}
	return killer{plugin: plugin, after: after + time.Microsecond}
}

// request is a call of one plugin.
type request struct {
	verb string
	a    *attachment // nil for GC and STATUS
	conf cni.Conf
	kill time.Duration // after which it is killed; 0 for never
}

// exec calls one plugin.
func (h *Host) exec(t testing.TB, r request) (nettest.Answer, outcome) {
	kind, _ := r.conf["type"].(string)
	call := nettest.Call{Command: r.verb, Plugin: filepath.Join(h.bin, kind), Path: h.bin, Config: r.conf.JSON(t)}
	who, a := r.conf["name"], r.a
	if a != nil {
		call.ContainerID, call.IfName, call.Netns = a.id, a.ifname, a.box.Path()
		if a.box.gone.Load() {
			call.Netns = ""
		}
		who = a.key
	}
	running := h.StartCNI(t, call)
	if r.kill > 0 {
		time.AfterFunc(r.kill, func() { _ = running.Signal(syscall.SIGKILL) })
	}
	answer := running.Wait(t)
	h.count(r.verb, answer)
	h.history.add("%s %s %v: exit %d%s", r.verb, kind, who, answer.Exit, brief(answer))
	if answer.Exit == -1 {
		return answer, killed
	}
	if answer.Exit != 0 {
		return answer, failed
	}
	return answer, succeeded
}

// brief returns the error of an answer.
func brief(a nettest.Answer) string {
	if a.Exit <= 0 {
		return ""
	}
	return " " + strings.Join(strings.Fields(string(a.Stdout)+string(a.Stderr)), " ")
}

func (k killer) of(plugin, plugins int) time.Duration {
	if k.after > 0 && plugin == k.plugin%plugins {
		return k.after
	}
	return 0
}

// add calls ADD of each plugin, until one fails or is killed.
func (h *Host) add(t testing.TB, a *attachment, k killer) outcome {
	h.verbs[a.network].RLock()
	defer h.verbs[a.network].RUnlock()
	for i := range a.net.plugins {
		conf := a.net.conf(i, a)
		if i > 0 {
			conf = conf.With(cni.Prev(a.results[i-1]))
		}
		since := h.mark()
		since.again = k.again
		answer, how := h.exec(t, request{"ADD", a, conf, k.of(i, len(a.net.plugins))})
		switch how {
		case killed:
			return killed
		case failed:
			h.explained(t, a, answer, since)
			return failed
		}
		a.results = append(a.results, answer.Stdout)
	}
	h.claim(t, a)
	return succeeded
}

// explained requires a reason for the error of an ADD: an installed version that is older than the table, which reload fixes; another program
// that deleted something at that time; a lock that another process held for 10 s; or an earlier ADD that was killed.
func (h *Host) explained(t testing.TB, a *attachment, answer nettest.Answer, since mark) {
	var e types.Error
	if err := json.Unmarshal(answer.Stdout, &e); err != nil || e.Code == 0 {
		t.Errorf("ADD of %s: no CNI error: %s", a.key, answer)
		return
	}
	switch {
	case isNewer(answer):
		h.Refused.Add(1)
		h.command(t, "reload")
	case h.wasDisturbed(since):
		h.Disturbed.Add(1)
	case isBusy(answer):
		h.Busy.Add(1)
	case since.again && (e.Code == 100 || e.Code == 101):
	default:
		t.Errorf("ADD of %s: %s", a.key, answer)
	}
}

// isNewer reports whether the installed version found what a newer one has made.
func isNewer(a nettest.Answer) bool { return strings.Contains(string(a.Stdout), "newer patchbay") }

// isBusy reports whether a call has waited for a lock for 10 s, as it may on a machine on which a process gets no CPU for so long; it works when it
// is repeated. An IPAM plugin that waits is no such case: its caller may hold the lock.
func isBusy(a nettest.Answer) bool {
	text := string(a.Stdout) + string(a.Stderr)
	return strings.Contains(text, "in use by another process") && !strings.Contains(text, "IPAM plugin")
}

// repeat makes a call again while it is busy.
func (h *Host) repeat(t testing.TB, r request) (answer nettest.Answer, how outcome) {
	for range 20 {
		if answer, how = h.exec(t, r); how != failed || !isBusy(answer) {
			break
		}
		h.Busy.Add(1)
		r.kill = 0
	}
	return answer, how
}

// del calls DEL of each plugin, from the last to the first. It must succeed whatever has happened.
func (h *Host) del(t testing.TB, a *attachment, k killer) outcome {
	h.verbs[a.network].RLock()
	defer h.verbs[a.network].RUnlock()
	h.release(a)
	for i := range slices.Backward(a.net.plugins) {
		conf := a.net.conf(i, a)
		if last := a.last(); last != nil {
			conf = conf.With(cni.Prev(last))
		}
		answer, how := h.repeat(t, request{"DEL", a, conf, k.of(i, len(a.net.plugins))})
		switch how {
		case killed:
			return killed
		case failed:
			t.Errorf("DEL of %s: %s", a.key, answer)
			return failed
		}
	}
	return succeeded
}

// check calls CHECK of each plugin.
func (h *Host) check(t testing.TB, a *attachment, k killer) {
	for i := range a.net.plugins {
		since := h.mark()
		answer, how := h.exec(t, request{"CHECK", a, a.net.conf(i, a).With(cni.Prev(a.last())), k.of(i, len(a.net.plugins))})
		if how == killed {
			return
		}
		if how == failed && !isNewer(answer) && !isBusy(answer) && !h.wasDisturbed(since) {
			t.Errorf("CHECK of %s: %s", a.key, answer)
		}
	}
}

// status calls STATUS of each plugin.
func (h *Host) status(t testing.TB, n network, k killer) {
	for i := range n.plugins {
		since := h.mark()
		answer, how := h.exec(t, request{"STATUS", nil, n.conf(i, nil), k.of(i, len(n.plugins))})
		if how == failed && !isNewer(answer) && !isBusy(answer) && !h.wasDisturbed(since) {
			t.Errorf("STATUS of %s: %s", n.name, answer)
		}
		if how != succeeded {
			return
		}
	}
}

// gc calls GC of each plugin with the attachments that the runtimes know.
func (h *Host) gc(t testing.TB, n network, kill killer) {
	h.verbs[n.name].Lock()
	defer h.verbs[n.name].Unlock()
	valid := []cni.Conf{}
	for _, one := range h.known(n.name) {
		valid = append(valid, cni.Conf{"containerID": one.id, "ifname": one.ifname})
	}
	for i := range n.plugins {
		conf := n.conf(i, nil).With(cni.Conf{"cni.dev/valid-attachments": valid})
		since := h.mark()
		answer, how := h.repeat(t, request{"GC", nil, conf, kill.of(i, len(n.plugins))})
		if how == killed {
			return
		}
		if how == failed && !h.wasDisturbed(since) {
			t.Errorf("GC of %s: %s", n.name, answer)
		}
	}
}

// command runs a command of the installed program, which must succeed.
func (h *Host) command(t testing.TB, args ...string) {
	var out []byte
	var err error
	for range 20 {
		out, err = h.Command(h.program(), args...).CombinedOutput()
		h.Commands.Add(1)
		h.history.add("patchbay %s: %v %s", strings.Join(args, " "), err, strings.Join(strings.Fields(string(out)), " "))
		if err == nil || !isBusy(nettest.Answer{Stdout: out}) {
			break
		}
		h.Busy.Add(1)
	}
	if err != nil {
		t.Errorf("patchbay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
