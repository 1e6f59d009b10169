package conformance

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func hostileChecks() []Check {
	const source = "what a runtime passes on from users"
	return []Check{
		{
			ID: "keys-unknown", Level: Practice, Source: "SPEC 1: plugins may refuse them", run: func(t *trial) { ignores(t, conf{"unknownKey": conf{"a": []int{1}}, "x-y": nil}) },
			Text: "ignores unknown keys of the configuration",
		},
		{ID: "keys-protocol", Level: Practice, Source: "SPEC 1, keys of the protocol", run: func(t *trial) {
			ignores(t, conf{"capabilities": conf{"aliases": true}, "cniVersions": []string{t.version}, "disableCheck": false, "cni.dev/unknown": 1})
		}, Text: "ignores keys of the protocol that are for the runtime"},
		{
			ID: "capability-unknown", Level: Should, Source: "CONVENTIONS, capabilities", run: func(t *trial) { ignores(t, capability("org.example.unknown", "x")) },
			Text: "ignores a capability that it does not know",
		},
		{ID: "args-labels", Level: Should, Source: "CONVENTIONS, args", run: func(t *trial) {
			ignores(t, conf{"args": conf{"cni": conf{"labels": []conf{{"key": "app", "value": "x"}}}, "org.example": conf{"a": 1}}})
		}, Text: "ignores args that it does not know"},
		{ID: "cni-args-kubernetes", Level: Practice, Source: "containerd and CRI-O", run: func(t *trial) {
			argsIgnored(t, "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=1-2")
		}, Text: "ignores the fields of CNI_ARGS that Kubernetes passes with IgnoreUnknown"},
		{
			ID: "cni-args-hostile", Level: Practice, Source: source, run: func(t *trial) { argsIgnored(t, "IgnoreUnknown=1;K8S_POD_NAME=../../x\x1b[31m\n$(id)`id`") },
			Text: "ignores a field of CNI_ARGS with control characters and shell syntax",
		},
		{
			ID: "input-10-mib", Level: Practice, Source: source, run: inputLarge,
			Text: "reads a configuration of 10 MiB, or refuses it with an error object",
		},
		{
			ID: "input-deep", Level: Practice, Source: source, run: inputDeep,
			Text: "reads a configuration with 100000 nested arrays, or refuses it with an error object",
		},
		{
			ID: "input-duplicate-keys", Level: Practice, Source: source, run: inputDuplicate,
			Text: "reads a configuration with a key that occurs twice, or refuses it with an error object",
		},
		{
			ID: "input-null-bytes", Level: Practice, Source: source, run: func(t *trial) { refusedConfig(t, strings.Repeat("\x00", 4096)) },
			Text: "refuses an input of zero bytes, and removes nothing",
		},
		{
			ID: "prevresult-hostile", Level: Practice, Source: "runtimes cache results in files", Since: "0.4.0", run: prevHostile,
			Text: "removes nothing of the host with a DEL whose prevResult names an interface of the host",
		},
		{
			ID: "state-unknown-files", Level: Practice, Source: "directories below /run and /var/lib are root's", Needs: []string{"directories"}, run: unknownFiles,
			Text: "attaches and detaches with unknown files and links among its own files, and keeps them",
		},
	}
}

// ignores attaches and detaches with a patch.
func ignores(t *trial, patch conf) {
	c, _ := t.attach("c", t.conf(patch))
	t.del(c, t.conf(patch))
}

func argsIgnored(t *trial, args string) {
	t.addAndDel(func(c *nettest.Call) { c.Args = args })
}

// orRefused accepts an ADD that succeeds and one that fails with an error object.
func (t *trial) orRefused(config string) {
	c := t.host.Container("c")
	a := t.do(t.call("ADD", c, config))
	if a.Exit != 0 {
		t.refuses(a, "ADD")
		t.failure(a, "ADD")
		return
	}
	t.result(a)
}

// withKey returns the configuration as text, with a key before the others.
func (t *trial) withKey(key, value string) string {
	return fmt.Sprintf(`{"%s": %s, %s`, key, value, strings.TrimPrefix(string(text(t.conf())), "{"))
}

func inputLarge(t *trial) {
	t.orRefused(t.withKey("unknownKey", `"`+strings.Repeat("x", 10<<20)+`"`))
}

func inputDeep(t *trial) {
	t.orRefused(t.withKey("unknownKey", strings.Repeat("[", 100000)+strings.Repeat("]", 100000)))
}

func inputDuplicate(t *trial) { t.orRefused(t.withKey("name", `"twice"`)) }

func prevHostile(t *trial) {
	t.ip(t.host.Netns, "link add mine type bridge")
	t.ip(t.host.Netns, "address add 203.0.113.1/24 dev mine")
	c := t.newcomer(t.conf())
	t.add(c, t.conf())
	prev := conf{"cniVersion": t.version, "dns": conf{}, "interfaces": []conf{{"name": "mine"}, {"name": "lo"}}, "ips": []conf{}}
	a := t.do(t.call("DEL", c, t.conf(conf{"prevResult": prev})))
	if a.Exit != 0 {
		t.del(c, t.conf())
	}
	t.clean("DEL")
}

// unknownFiles puts files that are not the plugin's beside each of its directories' files.
func unknownFiles(t *trial) {
	t.attach("resident", t.conf())
	seen := map[string]bool{}
	t.files(func(path string) error { seen[path[:strings.LastIndex(path, "/")]] = true; return nil })
	for dir := range seen {
		t.host.Run(t, "ln", "-s", "/etc/hostname", dir+"/zz-link")
		t.host.Run(t, "touch", dir+"/zz-file")
	}
	c := t.host.Container("c")
	t.baseline()
	t.add(c, t.conf())
	t.del(c, t.conf())
	t.clean("DEL")
}
