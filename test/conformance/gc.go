package conformance

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func gcChecks() []Check {
	return since("1.1.0", []Check{
		{
			ID: "gc-all-valid", Level: Should, Source: "SPEC 2, GC", run: gcAllValid,
			Text: "keeps every attachment that is listed",
		},
		{
			ID: "gc-stale", Level: Should, Source: "SPEC 2, GC", run: func(t *trial) { gcStale(t) },
			Text: "removes everything of an attachment that is not listed and whose namespace no longer exists, and nothing else",
		},
		{
			ID: "gc-stale-masquerade", Level: Should, Source: "SPEC 2, GC: firewall rules", Needs: []string{"masquerade"}, run: func(t *trial) { gcStale(t, "masquerade") },
			Text: "removes the rules of masquerading of an attachment that is not listed",
		},
		{
			ID: "gc-none-valid", Level: Should, Source: "SPEC 2, GC", run: gcNoneValid,
			Text: "removes everything if the list is empty",
		},
		{
			ID: "gc-releases-address", Level: Should, Source: "SPEC 2, GC: IPAM reservations", Needs: []string{"smallPool"}, run: gcReleases,
			Text: "releases the addresses of attachments that are not listed, in a pool that is exhausted",
		},
		{
			ID: "gc-interface-name", Level: Should, Source: "SPEC 2, GC: containerID and ifname", run: gcInterfaceName,
			Text: "keeps eth0 and removes eth1 of one container if only eth0 is listed",
		},
		{
			ID: "gc-other-network", Level: Should, Source: "SPEC 2, GC: attachments to this network", Needs: []string{"otherPool"}, run: gcOtherNetwork,
			Text: "keeps attachments of another network",
		},
		{
			ID: "gc-list-absent", Level: Practice, Source: "libcni without GCArgs", run: gcListAbsent,
			Text: "removes nothing if there is no list",
		},
		{
			ID: "gc-silent", Level: Must, Source: "SPEC 2, GC: no output on success", run: gcSilent,
			Text: "prints nothing on stdout when GC succeeds",
		},
		{
			ID: "gc-environment", Level: Must, Source: "SPEC 2, GC", run: gcEnvironment,
			Text: "accepts GC with no other variables than CNI_COMMAND and CNI_PATH",
		},
		{
			ID: "gc-twice", Level: Should, Source: "SPEC 2, GC: without error", run: gcTwice,
			Text: "accepts a second GC, and GC on a host without attachments",
		},
		{
			ID: "gc-invalid", Level: Practice, Source: "a misread list would remove everything", run: gcInvalid,
			Text: "refuses a list that is not an array of objects, and removes nothing",
		},
		{
			ID: "gc-then-del", Level: Must, Source: "SPEC 2, DEL: accept if missing", run: gcThenDel,
			Text: "accepts DEL of an attachment that GC has removed",
		},
	})
}

// valid returns the list of valid attachments for GC: eth0 of some containers.
func valid(containers ...*nettest.Container) conf {
	list := []conf{}
	for _, c := range containers {
		list = append(list, conf{"containerID": c.ID(), "ifname": "eth0"})
	}
	return conf{"cni.dev/valid-attachments": list}
}

// gc calls GC with the listed containers, which must succeed.
func (t *trial) gc(config conf, containers ...*nettest.Container) {
	t.succeeds(t.do(t.call("GC", nil, merge(config, valid(containers...)))), "GC")
}

func gcAllValid(t *trial) {
	a, _ := t.resident(t.conf())
	b, _ := t.attach("b", t.conf())
	t.baseline()
	t.gc(t.conf(), a, b)
	t.clean("GC")
}

func gcStale(t *trial, names ...string) {
	config := t.conf(t.variantsOf(names)...)
	resident, _ := t.resident(config)
	c, _ := t.attach("c", config)
	c.Delete()
	t.gc(config, resident)
	t.clean("GC")
}

func gcNoneValid(t *trial) {
	shared, _ := t.attach("shared", t.conf())
	t.del(shared, t.conf())
	t.baseline()
	for _, name := range []string{"a", "b"} {
		c, _ := t.attach(name, t.conf())
		c.Delete()
	}
	t.gc(t.conf())
	t.clean("GC")
}

// exhaust attaches containers until ADD fails, and returns them.
func (t *trial) exhaust(config conf) []*nettest.Container {
	var all []*nettest.Container
	for i := range 10 {
		c := t.host.Container(fmt.Sprint("x", i))
		if a := t.do(t.call("ADD", c, config)); a.Exit != 0 {
			t.del(c, config)
			c.Delete()
			return all
		}
		all = append(all, c)
	}
	t.Fatalf("ten containers are attached to a network with at most eight addresses")
	return nil
}

func gcReleases(t *trial) {
	config := t.conf(t.variant("smallPool"))
	all := t.exhaust(config)
	for _, c := range all[1:] {
		c.Delete()
	}
	t.gc(config, all[0])
	t.attach("next", config)
}

func gcInterfaceName(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.baseline()
	call := t.call("ADD", c, t.conf())
	call.IfName = "eth1"
	t.result(t.do(call))
	t.remove(c.Netns, "eth1")
	t.gc(t.conf(), c)
	t.clean("GC")
}

func gcOtherNetwork(t *trial) {
	t.attach("a", t.conf())
	t.on("other", func() {
		t.attach("b", t.conf(t.variant("otherPool")))
		t.baseline()
		c, _ := t.attach("c", t.conf(t.variant("otherPool")))
		t.del(c, t.conf(t.variant("otherPool")))
		c.Delete()
	})
	t.on("third", func() { t.gc(t.conf()) })
	t.host.Allow("file ") // locks of the third network
	t.clean("GC of a third network")
}

func gcListAbsent(t *trial) {
	t.resident(t.conf())
	a := t.do(t.call("GC", nil, t.conf()))
	if a.Exit != 0 {
		t.refuses(a, "GC")
	}
	t.clean("GC")
}

func gcSilent(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.silent(t.do(t.call("GC", nil, t.conf(valid(c)))), "GC")
}

func gcEnvironment(t *trial) {
	call := t.call("GC", nil, t.conf(valid()))
	call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}
	t.succeeds(t.do(call), "GC")
}

func gcTwice(t *trial) {
	t.gc(t.conf())
	c, _ := t.attach("c", t.conf())
	t.gc(t.conf(), c)
	t.gc(t.conf(), c)
}

func gcInvalid(t *trial) {
	t.resident(t.conf())
	t.refuses(t.do(t.call("GC", nil, t.conf(conf{"cni.dev/valid-attachments": "all"}))), "GC")
	t.clean("GC")
}

func gcThenDel(t *trial) {
	resident, _ := t.resident(t.conf())
	c, _ := t.attach("c", t.conf())
	call := t.call("DEL", c, t.conf())
	c.Delete()
	t.gc(t.conf(), resident)
	t.succeeds(t.do(call), "DEL")
	t.intact("DEL")
}
