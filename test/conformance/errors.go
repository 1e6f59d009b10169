package conformance

import (
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func errorChecks() []Check {
	refused := func(id, what, config string) Check {
		return Check{ID: id, Level: Must, Source: "SPEC 2, Errors", Text: "refuses " + what + ", and removes nothing", run: func(t *trial) { refusedConfig(t, config) }}
	}
	return []Check{
		{
			ID: "error-object", Level: Should, Source: "SPEC 5, Error", run: errorObject,
			Text: "prints an error as one JSON object with code and msg on stdout, and nothing else there",
		},
		{
			ID: "error-cniversion", Level: Should, Source: "SPEC 5, Error", Since: "1.0.0", run: errorVersion,
			Text: "prints the cniVersion in errors",
		},
		{
			ID: "error-codes", Level: Must, Source: "SPEC 5, Error", run: errorCodes,
			Text: "uses codes below 100 only as the specification defines them",
		},
		refused("input-empty", "an empty standard input", ""),
		refused("input-no-json", "an input that is not JSON", "not JSON"),
		refused("input-truncated", "truncated JSON", `{"cniVersion": "1.0.0", "name": "net", "type":`),
		refused("input-array", "a JSON array instead of a configuration", `[1]`),
		{
			ID: "input-no-json-code", Level: Should, Source: "SPEC 5, Error", run: func(t *trial) { configCode(t, "not JSON", 6) },
			Text: "refuses an input that is not JSON with code 6",
		},
		{
			ID: "input-type-code", Level: Should, Source: "SPEC 5, Error", run: func(t *trial) { configCode(t, `{"cniVersion": "1.0.0", "name": 1}`, 6, 7) },
			Text: "refuses a name that is a number with code 6 or 7",
		},
		{
			ID: "name-absent", Level: Must, Source: "SPEC 1, name", run: func(t *trial) { refusedConf(t, conf{"name": nil}) },
			Text: "refuses a configuration without name, and removes nothing",
		},
		{
			ID: "name-absent-code", Level: Should, Source: "SPEC 5, Error", run: nameAbsentCode,
			Text: "refuses a configuration without name with code 7",
		},
		{
			ID: "name-slash", Level: Must, Source: "SPEC 1, name", run: func(t *trial) { refusedConf(t, conf{"name": "../x"}) },
			Text: "refuses a network whose name has a slash, and removes nothing",
		},
		{
			ID: "ipam-absent-plugin", Level: Must, Source: "SPEC 2, Errors", Needs: []string{"unknownIPAM"}, run: unknownIPAM,
			Text: "refuses ADD if the delegated plugin does not exist",
		},
		{
			ID: "ipam-absent-plugin-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", Needs: []string{"unknownIPAM"}, run: unknownIPAMLeaves,
			Text: "leaves nothing after an ADD whose delegated plugin does not exist",
		},
	}
}

// impossible is a call that fails: the namespace does not exist.
func (t *trial) impossible() nettest.Answer {
	call := t.call("ADD", t.host.Container("c"), t.conf())
	call.Netns = "/run/netns/absent"
	return t.do(call)
}

func errorObject(t *trial) {
	a := t.impossible()
	t.refuses(a, "ADD")
	t.failure(a, "ADD")
}

func errorVersion(t *trial) {
	a := t.impossible()
	t.refuses(a, "ADD")
	switch f := t.failure(a, "ADD"); {
	case f.CNIVersion == nil:
		t.Fatalf("the error object has no cniVersion")
	case *f.CNIVersion != t.version:
		t.Fatalf("the error object has cniVersion %s instead of %s", *f.CNIVersion, t.version)
	}
}

func errorCodes(t *trial) {
	defined := []uint{1, 2, 3, 4, 5, 6, 7, 11, 50, 51}
	c := t.host.Container("taken")
	c.Run(t, "ip", "link", "add", "eth0", "type", "bridge")
	for _, a := range []nettest.Answer{
		t.impossible(), t.do(t.call("ADD", c, t.conf())), t.do(t.call("ADD", c, "{")), t.do(t.call("REPAIR", c, t.conf())),
		t.do(t.call("ADD", c, t.conf(conf{"cniVersion": "9.9.9"}))), t.do(t.call("ADD", c, t.conf(conf{"name": nil}))),
	} {
		t.refuses(a, "a call with an error")
		if f := t.failure(a, "a call with an error"); *f.Code < 100 && !slices.Contains(defined, *f.Code) {
			t.Fatalf("code %d is reserved: %s", *f.Code, *f.Msg)
		}
	}
}

// refusedConfig makes sure that ADD refuses an input.
func refusedConfig(t *trial, config string) {
	c := t.host.Container("c")
	t.baseline()
	t.refuses(t.do(t.call("ADD", c, config)), "ADD")
	t.intact("ADD")
}

func refusedConf(t *trial, patch conf) { refusedConfig(t, string(text(t.conf(patch)))) }

func configCode(t *trial, config string, codes ...uint) {
	t.coded(t.do(t.call("ADD", t.host.Container("c"), config)), "ADD", codes...)
}

func nameAbsentCode(t *trial) { configCode(t, string(text(t.conf(conf{"name": nil}))), 7) }

func unknownIPAM(t *trial) {
	t.refuses(t.do(t.call("ADD", t.host.Container("c"), t.conf(t.variant("unknownIPAM")))), "ADD")
}

func unknownIPAMLeaves(t *trial) {
	c := t.newcomer(t.conf())
	t.refuses(t.do(t.call("ADD", c, t.conf(t.variant("unknownIPAM")))), "ADD")
	t.clean("ADD")
}
