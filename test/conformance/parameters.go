package conformance

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// required are the variables that a verb requires.
func required() map[string][]string {
	return map[string][]string{
		"ADD":   {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
		"DEL":   {"CNI_CONTAINERID", "CNI_IFNAME"},
		"CHECK": {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
	}
}

func parameterChecks() []Check {
	checks := []Check{}
	for _, verb := range []string{"ADD", "DEL", "CHECK"} {
		for _, name := range required()[verb] {
			since := ""
			if verb == "CHECK" {
				since = "0.4.0"
			}
			short := strings.ToLower(strings.TrimPrefix(name, "CNI_"))
			checks = append(checks, Check{
				ID: strings.ToLower(verb) + "-without-" + short, Level: Must, Source: "SPEC 2, " + verb, Since: since,
				Text: fmt.Sprintf("refuses %s without %s, and with an empty one", verb, name),
				run:  func(t *trial) { withoutVariable(t, verb, name) },
			})
		}
	}
	checks = append(checks,
		Check{
			ID: "parameter-missing-code", Level: Should, Source: "SPEC 5, Error", run: missingCode,
			Text: "refuses a missing variable with code 4",
		},
		Check{
			ID: "parameter-missing-name", Level: Must, Source: "SPEC 5, Error", run: missingName,
			Text: "names the missing variable in the error",
		})
	for _, id := range []struct{ name, value string }{
		{"slash", "a/b"}, {"parent-directory", "../../../run/netns/x"}, {"leading-hyphen", "-a"}, {"space", "a b"}, {"newline", "a\nb"},
	} {
		checks = append(checks, Check{
			ID: "containerid-" + id.name, Level: Should, Source: "SPEC 5, Error, code 4", run: func(t *trial) { invalidID(t, id.value) },
			Text: fmt.Sprintf("refuses the container ID %q with code 4, and removes nothing", id.value),
		})
	}
	for _, i := range []struct{ name, value string }{
		{"16-bytes", "sixteen-bytes-xx"}, {"slash", "a/b"}, {"dot", "."}, {"dot-dot", ".."}, {"space", "a b"}, {"colon", "a:b"},
	} {
		checks = append(checks, Check{
			ID: "ifname-" + i.name, Level: Must, Source: "SPEC 2, CNI_IFNAME", run: func(t *trial) { invalidIfName(t, i.value) },
			Text: fmt.Sprintf("refuses the interface name %q, which Linux does not accept, and removes nothing", i.value),
		})
	}
	return append(checks,
		Check{
			ID: "ifname-15-bytes", Level: Must, Source: "SPEC 2, CNI_IFNAME", run: func(t *trial) { otherIfName(t, "fifteen-bytes-x") },
			Text: "creates an interface whose name has 15 bytes",
		},
		Check{
			ID: "ifname-other", Level: Must, Source: "SPEC 2, CNI_IFNAME", run: func(t *trial) { otherIfName(t, "net1") },
			Text: "creates the interface under the name of CNI_IFNAME",
		},
		Check{
			ID: "containerid-long", Level: Practice, Source: "systemd-nspawn and Nomad use names", run: func(t *trial) { validID(t, strings.Repeat("a", 128)) },
			Text: "accepts a container ID of 128 bytes",
		},
		Check{
			ID: "containerid-characters", Level: Must, Source: "SPEC 2, CNI_CONTAINERID", run: func(t *trial) { validID(t, "0A_.-z") },
			Text: "accepts every character that a container ID may have",
		},
	)
}

func withoutVariable(t *trial, verb, name string) {
	c := t.host.Container("c")
	t.baseline()
	call := t.call(verb, c, t.conf(conf{"prevResult": somePrev(c)}))
	if verb == "ADD" {
		call.Config = text(t.conf())
	}
	call.Unset = []string{name}
	t.refuses(t.do(call), verb+" without "+name)
	call.Unset, call.Env = nil, []string{name + "="}
	t.refuses(t.do(call), verb+" with an empty "+name)
	t.intact(verb)
}

// somePrev is a result that a runtime could have.
func somePrev(c *nettest.Container) conf {
	return conf{"cniVersion": "1.0.0", "interfaces": []conf{{"name": "eth0", "sandbox": c.Path()}}, "ips": []conf{}, "dns": conf{}}
}

// missing is the answer to an ADD without one variable.
func (t *trial) missing(name string) nettest.Answer {
	call := t.call("ADD", t.host.Container(strings.ToLower(name)), t.conf())
	call.Unset = []string{name}
	return t.do(call)
}

func missingCode(t *trial) {
	for _, name := range required()["ADD"] {
		t.coded(t.missing(name), "ADD without "+name, 4)
	}
}

func missingName(t *trial) {
	for _, name := range required()["ADD"] {
		a := t.missing(name)
		t.refuses(a, "ADD without "+name)
		if f := t.failure(a, "ADD without "+name); !strings.Contains(*f.Msg+f.Details, name) {
			t.Fatalf("the error of an ADD without %s does not name it", name)
		}
	}
}

func invalidID(t *trial, id string) {
	c := t.host.Container("c")
	t.baseline()
	call := t.call("ADD", c, t.conf())
	call.ContainerID = id
	a := t.do(call)
	t.refuses(a, "ADD")
	t.intact("ADD")
	t.coded(a, "ADD", 4)
}

func validID(t *trial, id string) {
	t.addAndDel(func(c *nettest.Call) { c.ContainerID = id })
}

func invalidIfName(t *trial, name string) {
	c := t.host.Container("c")
	t.baseline()
	call := t.call("ADD", c, t.conf())
	call.IfName = name
	t.refuses(t.do(call), "ADD")
	t.intact("ADD")
}

func otherIfName(t *trial, name string) {
	c := t.host.Container("c")
	call := t.call("ADD", c, t.conf())
	call.IfName = name
	t.result(t.do(call))
	if !has(c.Netns, name) {
		t.Fatalf("the container has no interface of this name")
	}
	call.Command = "DEL"
	t.succeeds(t.do(call), "DEL")
	if has(c.Netns, name) {
		t.Fatalf("DEL leaves the interface")
	}
}
