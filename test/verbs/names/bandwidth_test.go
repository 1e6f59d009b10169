package names

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/limits"
)

// slow limits both directions.
func slow() cni.Conf {
	return cni.Conf{"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 4000000, "egressBurst": 800000}
}

// qdiscs returns the queueing disciplines of the host that limit a rate.
func (l *list) qdiscs(t *testing.T) (found []string) {
	t.Helper()
	for line := range strings.Lines(l.h.Run(t, "tc", "qdisc", "show")) {
		if strings.Contains(line, "tbf") {
			_, rate, _ := strings.Cut(line, " rate ")
			found = append(found, strings.Fields(rate)[0])
		}
	}
	return found
}

// TestBandwidth: limits behind each main plugin; the ifb device is appended to the result as by the reference; DEL removes both.
//
// Claim: As bandwidth the program limits containers behind any main plugin with a veth pair, with the result of the reference
func TestBandwidth(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("tc"))
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, slow())
			result := l.add(t)
			last := result.Interfaces[len(result.Interfaces)-1]
			if !strings.Contains(l.h.Run(t, "ip", "-d", "link", "show", last.Name), " ifb ") || last.Mac == "" || last.Sandbox != "" {
				t.Errorf("the last interface of the result is %+v", last)
			}
			if got := l.qdiscs(t); len(got) != 2 || !strings.Contains(strings.Join(got, " "), "8Mbit") || !strings.Contains(strings.Join(got, " "), "4Mbit") {
				t.Errorf("limits: %q", got)
			}
			l.check(t)
			host := result.Interfaces[0].Name
			for _, i := range result.Interfaces {
				if strings.HasPrefix(i.Name, "veth") && i.Sandbox == "" {
					host = i.Name
				}
			}
			l.h.Run(t, "tc", "qdisc", "del", "dev", host, "root")
			if e := l.call(t, "CHECK", slow(), l.result).Error(t); e.Code != 106 {
				t.Errorf("CHECK without the limit: %+v", e)
			}
			l.h.Run(t, nettest.Patchbay(t), "reload")
			l.check(t)
			l.call(t, "DEL", slow(), l.result).OK(t)
			expect.Equal(t, "limits after DEL", l.qdiscs(t), nil)
			l.call(t, "DEL", slow(), nil).OK(t)
			l.del(t)
			l.h.NoLeaks(t)
		})
	}
}

// TestBandwidthGone: the container is gone, or bandwidth is no longer in the list.
//
// Claim: The DEL of a chained plugin needs neither network namespace nor prevResult, and the main plugin's removes what is left
func TestBandwidthGone(t *testing.T) {
	t.Parallel()
	for name, main := range mains() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newList(t, main.reference, main.conf, slow())
			l.add(t)
			l.c.Delete()
			call := l.callOf(t, "DEL", slow(), nil)
			call.Netns = ""
			l.h.CNI(t, call).OK(t)
			l.call(t, "DEL", main.conf, l.result).OK(t)
			l.h.NoLeaks(t)
		})
	}
	for _, main := range []cni.Conf{bridge(), bridge(cni.Conf{"type": "ptp"})} {
		l := newList(t, nil, main, slow())
		l.add(t)
		l.call(t, "DEL", main, l.result).OK(t)
		l.h.NoLeaks(t)
	}
}

// TestBandwidthOfAnotherProgram: another program has the name of the ifb device when DEL is called, with and without the container. DEL
// keeps that device, warns, removes the limit of the host interface and succeeds.
//
// Claim: The DEL of bandwidth keeps an ifb device of another program with a warning, removes the rest and succeeds
func TestBandwidthOfAnotherProgram(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("tc"))
	for name, main := range mains() {
		for what, end := range map[string]func(*list){"container": func(*list) {}, "no container": func(l *list) { l.deleteContainer(t) }} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				l := newList(t, main.reference, main.conf, slow())
				result := l.add(t)
				ifb := result.Interfaces[len(result.Interfaces)-1].Name
				end(l)
				l.h.Run(t, "ip", "link", "del", ifb)
				l.h.Run(t, "ip", "link", "add", ifb, "type", "ifb")
				l.h.Run(t, "ip", "link", "set", ifb, "alias", "of another program")
				answer := l.call(t, "DEL", slow(), l.result).OK(t)
				expect.Contains(t, string(answer.Stderr), ifb, "of another program", "keeping it")
				expect.Equal(t, "limits after DEL", l.qdiscs(t), nil)
				expect.Contains(t, l.h.Run(t, "ip", "link", "show", ifb), "of another program")
				l.del(t)
				l.h.Run(t, "ip", "link", "del", ifb)
				l.h.NoLeaks(t)
			})
		}
	}
}

// TestBandwidthRefused: wrong limits, an interface without another end, and the limits of the main plugin.
//
// Claim: An ADD of a chained plugin that fails removes its own part and leaves the rest of the attachment
func TestBandwidthRefused(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, bridge(cni.Conf{"ingressRate": 1000000, "ingressBurst": 800000}))
	l.add(t)
	if answer := l.call(t, "ADD", slow(), l.result).OK(t); !strings.Contains(string(answer.Stderr), "has set other limits, which stay") {
		t.Errorf("stderr: %s", answer.Stderr)
	}
	expect.Equal(t, "limits", l.qdiscs(t), []string{"1Mbit"})
	l.call(t, "DEL", slow(), l.result).OK(t)
	l.check(t)
	l.del(t)
	l.plugins = []cni.Conf{bridge()}
	l.add(t)
	for key, conf := range map[string]cni.Conf{
		"ingressBurst": slow().With(cni.Conf{"ingressBurst": 8}), "egressRate": slow().With(cni.Conf{"egressRate": -1}),
	} {
		if e := l.call(t, "ADD", conf, l.result).Error(t); e.Code != 7 || !strings.Contains(e.Msg, key) {
			t.Errorf("%s: %+v", key, e)
		}
	}
	l.check(t)
	l.del(t)
	l.h.NoLeaks(t)
}

// trafficControl returns the limits of the host interface, HOST in it, and of ifb devices, IFB.
func (l *list) trafficControl(t *testing.T) string {
	t.Helper()
	return strings.Join(limits.Of(t, l.h.Netns, func(link string) string {
		return map[bool]string{true: "HOST", false: "IFB"}[strings.HasPrefix(link, "veth")]
	}), ", ")
}
