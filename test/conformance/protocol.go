package conformance

import (
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func protocolChecks() []Check {
	return []Check{
		{
			ID: "version-answer", Level: Must, Source: "SPEC 5, VERSION Success", Since: "0.2.0", run: versionAnswered,
			Text: "answers VERSION with one JSON object: cniVersion, and supportedVersions with released versions",
		},
		{
			ID: "version-echo", Level: Must, Source: "SPEC 5, VERSION Success", Since: "1.0.0", run: versionEcho,
			Text: "returns the cniVersion of VERSION's input, for each supported version since 1.0.0",
		},
		{
			ID: "version-environment", Level: Must, Source: "SPEC 2, VERSION", Since: "0.2.0", run: versionEnvironment,
			Text: "answers VERSION with no other variable than CNI_COMMAND",
		},
		{
			ID: "version-empty-input", Level: Practice, Source: "callers of version 0.2.0 send none", Since: "0.2.0", run: versionEmptyInput,
			Text: "answers VERSION with an empty standard input",
		},
		{
			ID: "command-unknown", Level: Must, Source: "SPEC 2, Errors", run: commandUnknown,
			Text: "refuses an unknown CNI_COMMAND",
		},
		{
			ID: "command-unknown-code", Level: Should, Source: "SPEC 5, Error", run: commandUnknownCode,
			Text: "refuses an unknown CNI_COMMAND with code 4",
		},
		{
			ID: "cniversion-unsupported", Level: Must, Source: "SPEC 2, Errors", run: versionUnsupported,
			Text: "refuses ADD with a cniVersion that it does not support, and removes nothing",
		},
		{
			ID: "cniversion-unsupported-code", Level: Should, Source: "SPEC 5, Error", run: versionUnsupportedCode,
			Text: "refuses a cniVersion that it does not support with code 1",
		},
		{
			ID: "cniversion-absent", Level: Practice, Source: "libcni's rule: no cniVersion is 0.1.0", run: versionAbsent,
			Text: "reads a configuration without cniVersion as one of version 0.1.0",
		},
		{
			ID: "cniversion-before-check", Level: Practice, Source: "CHECK exists since 0.4.0", Since: "0.4.0", run: checkTooOld,
			Text: "refuses CHECK with a cniVersion before 0.4.0 with code 1",
		},
		{
			ID: "cniversion-before-gc", Level: Practice, Source: "GC exists since 1.1.0", Since: "1.1.0", run: gcTooOld,
			Text: "refuses GC with a cniVersion before 1.1.0 with code 1",
		},
		{
			ID: "cniversion-before-status", Level: Practice, Source: "STATUS exists since 1.1.0", Since: "1.1.0", run: statusTooOld,
			Text: "refuses STATUS with a cniVersion before 1.1.0 with code 1",
		},
	}
}

// environmentChecks are those of the environment of a call.
func environmentChecks() []Check {
	return []Check{
		{
			ID: "args-unset", Level: Must, Source: "SPEC 2, ADD and DEL", run: argsUnset,
			Text: "accepts ADD and DEL without CNI_ARGS",
		},
		{
			ID: "path-unset", Level: Must, Source: "SPEC 2, ADD and DEL", Needs: []string{"noDelegate"}, run: pathUnset,
			Text: "accepts ADD and DEL without CNI_PATH, if it runs no other plugin",
		},
		{
			ID: "unknown-variables", Level: Practice, Source: "runtimes pass on their environment", run: unknownVariables,
			Text: "ignores other variables of the environment, such as CNI_UNKNOWN and TRACEPARENT",
		},
	}
}

func versionAnswered(t *trial) {
	v := t.versionAnswer(t.version)
	if len(v.SupportedVersions) == 0 {
		t.Fatalf("supportedVersions is empty")
	}
	for _, s := range v.SupportedVersions {
		if !slices.Contains(Versions(), s) {
			t.Fatalf("supportedVersions has %q, which is not released", s)
		}
	}
}

func versionEcho(t *trial) {
	for _, v := range t.supported {
		if older(v, "1.0.0") {
			continue
		}
		if got := t.versionAnswer(v).CNIVersion; got != v {
			t.Fatalf("cniVersion is %s for an input of %s", got, v)
		}
	}
}

func versionEnvironment(t *trial) {
	call := t.call("VERSION", nil, conf{"cniVersion": t.version})
	call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"}
	t.succeeds(t.do(call), "VERSION")
}

func versionEmptyInput(t *trial) {
	a := t.do(t.call("VERSION", nil, ""))
	t.succeeds(a, "VERSION")
	var v versions
	if err := single(a.Stdout, &v, true); err != nil || len(v.SupportedVersions) == 0 {
		t.Fatalf("VERSION prints no supportedVersions")
	}
}

func (t *trial) unknownCommand() nettest.Answer {
	return t.do(t.call("REPAIR", t.host.Container("c"), t.conf()))
}

func commandUnknown(t *trial)     { t.refuses(t.unknownCommand(), "CNI_COMMAND=REPAIR") }
func commandUnknownCode(t *trial) { t.coded(t.unknownCommand(), "CNI_COMMAND=REPAIR", 4) }

func versionUnsupported(t *trial) {
	c := t.host.Container("c")
	t.baseline()
	t.refuses(t.do(t.call("ADD", c, t.conf(conf{"cniVersion": "9.9.9"}))), "ADD with cniVersion 9.9.9")
	t.intact("ADD")
}

func versionUnsupportedCode(t *trial) {
	t.coded(t.do(t.call("ADD", t.host.Container("c"), t.conf(conf{"cniVersion": "9.9.9"}))), "ADD", 1)
}

func versionAbsent(t *trial) {
	t.needVersion("0.1.0")
	c := t.host.Container("c")
	a := t.do(t.call("ADD", c, t.conf(conf{"cniVersion": nil})))
	t.succeeds(a, "ADD")
	if !strings.Contains(string(a.Stdout), `"ip4"`) {
		t.Fatalf("the result is not of version 0.1.0")
	}
	t.del(c, t.conf(conf{"cniVersion": nil}))
}

// needVersion makes the check not applicable if the plugin does not support a version.
func (t *trial) needVersion(v string) {
	if !slices.Contains(t.supported, v) {
		t.Skipf("the plugin does not support version %s", v)
	}
}

func checkTooOld(t *trial) {
	t.needVersion("0.3.1")
	config := t.conf(conf{"cniVersion": "0.3.1"})
	c, r := t.attach("c", config)
	t.coded(t.do(t.call("CHECK", c, withPrev(config, r))), "CHECK with cniVersion 0.3.1", 1)
}

func gcTooOld(t *trial) {
	t.needVersion("1.0.0")
	t.coded(t.do(t.call("GC", nil, t.conf(valid(), conf{"cniVersion": "1.0.0"}))), "GC with cniVersion 1.0.0", 1)
}

func statusTooOld(t *trial) {
	t.needVersion("1.0.0")
	t.coded(t.do(t.call("STATUS", nil, t.conf(conf{"cniVersion": "1.0.0"}))), "STATUS with cniVersion 1.0.0", 1)
}

// addAndDel attaches and detaches with a changed call.
func (t *trial) addAndDel(change func(*nettest.Call)) {
	c := t.host.Container("c")
	for _, verb := range []string{"ADD", "DEL"} {
		call := t.call(verb, c, t.conf())
		change(&call)
		t.succeeds(t.do(call), verb)
	}
}

func argsUnset(t *trial) {
	t.addAndDel(func(c *nettest.Call) { c.Unset = []string{"CNI_ARGS"} })
}

func pathUnset(t *trial) {
	t.addAndDel(func(c *nettest.Call) { c.Unset = []string{"CNI_PATH"} })
}

func unknownVariables(t *trial) {
	t.addAndDel(func(c *nettest.Call) {
		c.Env = []string{"CNI_UNKNOWN=1", "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "LD_PRELOAD="}
	})
}
