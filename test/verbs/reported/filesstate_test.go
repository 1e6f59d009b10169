package reported

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

func fileStates() []row {
	const kind = "state that others could change is not used; a forged record affects only its own attachment"
	return []row{
		{"35", "stateDir is owned by another user", kind, stateRefused(cni.Conf{"stateDir": "/run/state"}, "mkdir /run/state; chown "+fileUser+" /run/state", "/run/state: owned by another user")},
		{"35.1", "stateDir is world-writable", kind, stateRefused(cni.Conf{"stateDir": "/run/state"}, "mkdir -m 0777 /run/state", "/run/state: writable by other users")},
		{"35.2", "a parent of stateDir is owned by another user", kind, stateRefused(cni.Conf{"stateDir": "/run/home/state"}, "mkdir /run/home; chown "+fileUser+" /run/home; mkdir -m 0700 /run/home/state", "/run/home: owned by another user")},
		{"35.3", "stateDir would be created in a world-writable directory", kind, stateRefused(cni.Conf{"stateDir": "/run/all/state"}, "mkdir -m 0777 /run/all", "/run/all: writable by other users")},
		{"35.4", "the network's directory of records is owned by another user", kind, stateRefused(cni.Conf{}, "mkdir -p -m 0700 /run/patchbay/net; chown "+fileUser+" /run/patchbay/net", "/run/patchbay/net: owned by another user")},
		{"35.5", "ipam.dataDir is writable by a group", kind, stateRefused(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "subnet": "10.1.0.0/24", "dataDir": "/run/data"}}, "mkdir -m 0770 /run/data; chgrp "+fileUser+" /run/data", "/run/data: writable by other users")},
		{"35.6", "a forged record in a safe directory names the uplink", kind, forgedUplink(false)},
		{"35.7", "a forged record in a world-writable directory names the uplink", kind, forgedUplink(true)},
		{"35.8", "a forged record names the interface, the addresses and the ports of another container", kind, forgedNeighbour},
		{"35.9", "reload with a forged record that names the uplink", kind, forgedReload},
		{"35.10", "gc and GC with forged records in a directory of another user", kind, forgedCollect},
	}
}

// stateRefused requires that ADD and STATUS refuse a state directory with the same message, and that DEL succeeds.
func stateRefused(conf cni.Conf, script, words string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.sh(script)
		h.Baseline()
		n, c := routed(conf), h.Container("web")
		h.fails(c, n, 5, "unsafe state directory: ", words, "chown root:root, chmod go-w")
		e := h.cni(h.call("ADD", c, n)).Error(t)
		status := h.call("STATUS", c, n)
		status.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
		s := h.cni(status).Error(t)
		if s.Code != 50 || s.Msg != "no container can be attached: "+e.Msg {
			t.Errorf("STATUS: code %d, %q; ADD said %q", s.Code, s.Msg, e.Msg)
		}
		h.cni(h.call("DEL", c, n)).OK(t)
		h.NoLeaks(t)
	}
}

// forgedRecord returns the record of an attachment in a chain that never existed.
func (h *fileHost) forgedRecord(c *nettest.Container, link string) cni.Conf {
	h.t.Helper()
	return cni.Conf{
		"version": 2, "network": "net", "containerID": c.ID(), "ifname": "eth0", "owner": "cni", "role": "chained",
		"created": "2020-01-01T00:00:00Z", "bootID": strings.TrimSpace(h.sh("cat /proc/sys/kernel/random/boot_id")), "netns": c.Path(),
		"bridge": "br0", "hostLink": link,
	}
}

func forgedUplink(unsafe bool) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.LAN(t)
		c := h.Container("web")
		h.sh("mkdir -p -m 0700 /run/patchbay/net")
		forged := h.forgedRecord(c, "eth0").JSON(t)
		h.put("/run/patchbay/net/"+c.ID()+"@eth0.json", string(forged))
		if unsafe {
			h.sh("chmod 0777 /run/patchbay /run/patchbay/net")
		}
		n := routed(cni.Conf{"bridge": "br0", "isDefaultGateway": false, "ipam": cni.Conf{"type": "patchbay", "subnet": "192.0.2.0/24"}})
		h.cni(h.call("DEL", c, n)).OK(t)
		if got := h.portsOf("br0"); got != "eth0" {
			t.Errorf("bridge br0 has the ports %q", got)
		}
		if got := h.sh("find /run/patchbay -name '*.json'"); got != "" {
			t.Errorf("left: %s", got)
		}
	}
}

// forgedNeighbour: the record of one attachment names everything of another one.
func forgedNeighbour(t *testing.T) {
	h := newFileHost(t)
	victim, c := h.Container("victim"), h.Container("web")
	n := routed(cni.Conf{"ipMasq": true, "runtimeConfig": cni.Conf{"portMappings": []cni.Conf{{"hostPort": 8080, "containerPort": 80}}}})
	h.cni(h.call("ADD", victim, n)).OK(t)
	before := h.sh("nft list table inet patchbay | grep -c 'net/" + victim.ID() + "'")
	link := h.portsOf("cni0")
	alias := h.linkOf(link).IfAlias
	mark, _, _ := strings.Cut(alias, " ")
	dir := "/run/patchbay/net/"
	for what, change := range map[string]func(cni.Conf){
		"all of it":      func(r cni.Conf) { r["containerID"] = c.ID() },
		"its mark":       func(r cni.Conf) { r["containerID"], r["alias"] = c.ID(), mark+" net/"+c.ID()+"/eth0" },
		"its mark alone": func(r cni.Conf) { r["containerID"], r["alias"] = c.ID(), mark },
		"no alias":       func(r cni.Conf) { r["containerID"], r["alias"] = c.ID(), "" },
		"in a chain": func(r cni.Conf) {
			r["containerID"], r["alias"], r["role"] = c.ID(), mark+" net/"+c.ID()+"/eth0", "chained"
		},
		"of another's routes": func(r cni.Conf) { r["containerID"], r["alias"], r["hostRoutes"] = c.ID(), "", []string{"10.1.0.2"} },
	} {
		h.sh(`cp "$1" "$2"`, dir+victim.ID()+"@eth0.json", dir+c.ID()+"@eth0.json")
		h.rewrite(dir+c.ID()+"@eth0.json", change)
		h.cni(h.call("DEL", c, n)).OK(t)
		if got := h.portsOf("cni0"); got != link {
			t.Fatalf("%s: bridge cni0 has the ports %q, not %s", what, got, link)
		}
		if after := h.sh("nft list table inet patchbay | grep -c 'net/" + victim.ID() + "'"); after != before {
			t.Fatalf("%s: %s lines of the victim in the ruleset, there were %s", what, after, before)
		}
		if held := h.sh("ls /run/patchbay/ipam/net | grep -c '^10.1.0.2$'"); held != "1\n" {
			t.Fatalf("%s: the victim's address is free", what)
		}
	}
	h.cni(h.call("DEL", victim, n)).OK(t)
}

func forgedReload(t *testing.T) {
	h := newFileHost(t)
	c := h.Container("web")
	h.Veth("up0", c.Netns, "far0")
	h.Bridge("br0", "192.0.2.1/24")
	h.Baseline()
	h.sh("mkdir -p -m 0700 /run/patchbay/net")
	other := h.Container("other")
	forged := h.forgedRecord(other, "up0").With(cni.Conf{"hostIndex": h.linkOf("up0").IfIndex})
	path := "/run/patchbay/net/" + other.ID() + "@eth0.json"
	h.put(path, string(forged.JSON(t)))
	h.patchbay("reload")
	if got := h.portsOf("br0"); got != "" {
		t.Errorf("reload made %q ports of br0", got)
	}
	h.cni(h.call("DEL", other, routed(cni.Conf{"bridge": "br0"}))).OK(t)
}

func forgedCollect(t *testing.T) {
	h := newFileHost(t)
	h.LAN(t)
	c, gone := h.Container("web"), h.Container("gone")
	h.sh("mkdir -p /run/patchbay/net; chown -R " + fileUser + " /run/patchbay")
	h.put("/run/patchbay/net/"+gone.ID()+"@eth0.json", string(h.forgedRecord(gone, "eth0").JSON(t)))
	h.refuses([]string{"unsafe state directory"}, "gc")
	n := routed(cni.Conf{"bridge": "br0", "cni.dev/valid-attachments": []cni.Conf{}})
	call := h.call("GC", c, n)
	call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	if a := h.cni(call); a.Exit != 0 && !strings.Contains(string(a.Stdout), "unsafe state directory") {
		t.Errorf("GC: %s", a)
	}
	h.patchbay("reload")
	if got := h.portsOf("br0"); got != "eth0" {
		t.Errorf("bridge br0 has the ports %q", got)
	}
	h.sh("rm -r /run/patchbay")
}

func fileLengths() []row {
	const kind = "a list that is too long is refused at once, a valid one is fast"
	many := func(count int, format string) string {
		items := make([]string, count)
		for i := range items {
			items[i] = fmt.Sprintf(format, i/256%256, i%256)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return []row{
		{"36", "60 000 exclusions", kind, lengthRefused("ipam.exclude: 60000 entries", `"ipam": {"type": "patchbay", "subnet": "10.1.0.0/16", "exclude": `+many(60000, `"10.1.%d.%d"`)+`}`)},
		{"36.1", "100 000 routes", kind, lengthRefused("ipam.routes: 100000 entries", `"ipam": {"type": "patchbay", "subnet": "10.1.0.0/16", "routes": `+many(100000, `{"dst":"11.%d.%d.0/24"}`)+`}`)},
		{"36.2", "60 000 port mappings", kind, lengthRefused("runtimeConfig.portMappings: 60000 entries", `"ipam": {"type": "patchbay", "subnet": "10.1.0.0/16"}, "runtimeConfig": {"portMappings": `+many(60000, `{"hostPort":1%02d%02d,"containerPort":80}`)+`}`)},
		{"36.3", "10 000 ranges", kind, lengthRefused("ipam.ranges: 10000 entries", `"ipam": {"type": "patchbay", "ranges": [`+many(10000, `{"subnet":"11.%d.%d.0/24"}`)+`]}`)},
		{"36.4", "10 000 name servers", kind, lengthRefused("dns.nameservers: 10000 entries", `"ipam": {"type": "patchbay", "subnet": "10.1.0.0/16"}, "dns": {"nameservers": `+many(10000, `"192.0.%d.%d"`)+`}`)},
		{"36.5", "60 000 destinations that are not masqueraded", kind, lengthRefused("masqExclude: 60000 entries", `"ipMasq": true, "masqExclude": `+many(60000, `"10.1.%d.%d"`)+`, "ipam": {"type": "patchbay", "subnet": "10.1.0.0/16"}`)},
		{"36.6", "4096 exclusions next to each other", kind, func(t *testing.T) {
			h := newFileHost(t)
			c := h.Container("web")
			call := h.call("ADD", c, cni.Conf{})
			call.Config = []byte(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "ipam": {"type": "patchbay", "subnet": "10.1.0.0/16", "gateway": "10.1.99.1", "exclude": ` + many(4096, `"10.1.%d.%d"`) + `}}`)
			if got := addressesOf(h.cni(call).Result(t)); len(got) != 1 || got[0] != "10.1.16.0/16" {
				t.Errorf("got %v", got)
			}
			call.Command = "DEL"
			h.cni(call).OK(t)
		}},
		{"36.7", "GC of a node with 20 000 attachments", kind, func(t *testing.T) {
			h := newFileHost(t)
			c := h.Container("web")
			h.cni(h.call("ADD", c, routed())).OK(t)
			valid := strings.TrimSuffix(many(20000, `{"containerID":"c%dx%d","ifname":"eth0"}`), "]") + `,{"containerID":"` + c.ID() + `","ifname":"eth0"}]`
			call := h.call("GC", c, routed())
			call.Config = []byte(strings.TrimSuffix(string(call.Config), "}") + `, "cni.dev/valid-attachments": ` + valid + "}")
			call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
			h.cni(call).OK(t)
			if ports := h.portsOf("cni0"); ports == "" {
				t.Error("GC has taken what is valid")
			}
			h.cni(h.call("DEL", c, routed())).OK(t)
		}},
	}
}

// lengthRefused requires that an ADD fails with code 7 and this message, before it does any work.
func lengthRefused(words, members string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		c := h.Container("web")
		call := h.call("ADD", c, cni.Conf{})
		call.Config = []byte(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", ` + members + `}`)
		e := h.cni(call).Error(t)
		if e.Code != 7 || !strings.HasPrefix(e.Msg, words+" are too many") || !strings.Contains(e.Details, "at most") {
			t.Errorf("code %d, %q, %q", e.Code, e.Msg, e.Details)
		}
		call.Command = "DEL"
		h.cni(call).OK(t)
		h.NoLeaks(t)
	}
}
