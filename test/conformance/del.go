package conformance

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func delChecks() []Check {
	return []Check{
		{
			ID: "del", Level: Should, Source: "SPEC 2, DEL", run: func(t *trial) { delAfter(t, nothing) },
			Text: "removes the interface, and leaves the host and other attachments as they were",
		},
		{
			ID: "del-silent", Level: Practice, Source: "DEL has no result", run: delSilent,
			Text: "prints nothing on stdout when DEL succeeds",
		},
		{
			ID: "del-twice", Level: Must, Source: "SPEC 2, DEL", run: delTwice,
			Text: "accepts a second DEL, and a third",
		},
		{
			ID: "del-never-added", Level: Must, Source: "SPEC 2, DEL", run: delNeverAdded,
			Text: "accepts DEL of an attachment that never existed, on a host without any",
		},
		{
			ID: "del-prevresult", Level: Should, Source: "SPEC 2, DEL", Since: "0.4.0", run: delWithPrev,
			Text: "accepts the prevResult of ADD in DEL, and leaves nothing",
		},
		{
			ID: "del-prevresult-absent", Level: Should, Source: "SPEC 2, DEL", run: func(t *trial) { delAfter(t, nothing) },
			Text: "leaves nothing after a DEL without prevResult",
		},
		{
			ID: "del-prevresult-of-other", Level: Practice, Source: "runtimes cache results", Since: "0.4.0", run: delForeignPrev,
			Text: "removes nothing of another attachment whose result is the prevResult",
		},
	}
}

// delOtherChecks are those of what DEL must not touch, and of what it must remove.
func delOtherChecks() []Check {
	return []Check{
		{
			ID: "del-other-interface", Level: Should, Source: "SPEC 3, attachments", run: delOtherInterface,
			Text: "removes nothing with a DEL of another interface name of the container",
		},
		{
			ID: "del-other-network", Level: Should, Source: "SPEC 3, attachments", Needs: []string{"otherPool"}, run: delOtherNetwork,
			Text: "keeps a container's attachment to one network when that to another is deleted",
		},
		{
			ID: "del-interface-absent", Level: Must, Source: "SPEC 2, DEL", run: delInterfaceAbsent,
			Text: "succeeds if the interface is gone",
		},
		{
			ID: "del-interface-absent-leaves", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", run: func(t *trial) { delAfter(t, interfaceAbsent) },
			Text: "leaves nothing if the interface is gone",
		},
		{
			ID: "del-interface-absent-masquerade", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", Needs: []string{"masquerade"}, run: func(t *trial) { delAfter(t, interfaceAbsent, "masquerade") },
			Text: "leaves no rule of masquerading if the interface is gone",
		},
		{
			ID: "del-masquerade", Level: Should, Source: "SPEC 2, DEL: undo any modifications", Needs: []string{"masquerade"}, run: func(t *trial) { delAfter(t, nothing, "masquerade") },
			Text: "leaves no rule of masquerading",
		},
		{
			ID: "del-dual-stack", Level: Should, Source: "SPEC 2, DEL: undo any modifications", Needs: []string{"dualStack"}, run: func(t *trial) { delAfter(t, nothing, "dualStack") },
			Text: "leaves nothing of an attachment with IPv4 and IPv6",
		},
		{
			ID: "del-releases-address", Level: Should, Source: "SPEC 2, DEL: undo any modifications", Needs: []string{"smallPool"}, run: delReleases,
			Text: "releases the address: ten containers, one after the other, are attached to a network with at most eight",
		},
	}
}

func delStateChecks() []Check {
	return []Check{
		{
			ID: "del-netns-empty", Level: Must, Source: "SPEC 2, DEL: CNI_NETNS is optional", run: func(t *trial) { delWithoutNetns(t, "empty"); t.intact("DEL") },
			Text: "succeeds if the namespace no longer exists and CNI_NETNS is empty",
		},
		{
			ID: "del-netns-empty-leaves", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", run: func(t *trial) { delWithoutNetns(t, "empty"); t.clean("DEL") },
			Text: "leaves nothing if the namespace no longer exists and CNI_NETNS is empty",
		},
		{
			ID: "del-netns-unset", Level: Must, Source: "SPEC 2, DEL: CNI_NETNS is optional", run: func(t *trial) { delWithoutNetns(t, "unset"); t.intact("DEL") },
			Text: "succeeds if the namespace no longer exists and CNI_NETNS is not set",
		},
		{
			ID: "del-netns-unset-leaves", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", run: func(t *trial) { delWithoutNetns(t, "unset"); t.clean("DEL") },
			Text: "leaves nothing if the namespace no longer exists and CNI_NETNS is not set",
		},
		{
			ID: "del-netns-gone", Level: Should, Source: "SPEC 2, DEL: even if some resources are missing", run: func(t *trial) { delWithoutNetns(t, "path"); t.clean("DEL") },
			Text: "succeeds if the path of CNI_NETNS no longer exists, and leaves nothing",
		},
		{
			ID: "del-netns-empty-masquerade", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", Needs: []string{"masquerade"}, run: func(t *trial) { delWithoutNetns(t, "empty", "masquerade"); t.clean("DEL") },
			Text: "leaves no rule of masquerading if the namespace no longer exists and CNI_NETNS is empty",
		},
		{
			ID: "del-netns-gone-masquerade", Level: Should, Source: "SPEC 2, DEL: clean up its own resources", Needs: []string{"masquerade"}, run: func(t *trial) { delWithoutNetns(t, "path", "masquerade"); t.clean("DEL") },
			Text: "leaves no rule of masquerading if the path of CNI_NETNS no longer exists",
		},
	}
}

// delMissingChecks are those of missing state.
func delMissingChecks() []Check {
	return []Check{
		{
			ID: "del-netns-file", Level: Should, Source: "SPEC 2, DEL: even if some state is missing", run: delNetnsFile,
			Text: "succeeds if the path of CNI_NETNS is a regular file, as after it was unmounted, and leaves nothing",
		},
		{
			ID: "del-netns-empty-live", Level: Practice, Source: "nerdctl calls DEL so", run: delEmptyLive,
			Text: "releases everything, the interface too, if CNI_NETNS is empty and the container still runs",
		},
		{
			ID: "del-bridge-absent", Level: Should, Source: "SPEC 2, DEL: even if some resources are missing", Needs: []string{"bridge"}, run: delBridgeAbsent,
			Text: "succeeds if the bridge is gone",
		},
		{
			ID: "del-state-absent", Level: Should, Source: "SPEC 2, DEL: even if some state is missing", Needs: []string{"directories"}, run: delStateAbsent,
			Text: "succeeds if its files are gone, and removes the interface",
		},
		{
			ID: "del-state-empty", Level: Practice, Source: "a host that lost power", Needs: []string{"directories"}, run: delStateEmpty,
			Text: "succeeds if its files are empty, and removes the interface",
		},
		{
			ID: "del-pool-changed", Level: Practice, Source: "SPEC 3: the configuration should not change", Needs: []string{"otherPool"}, run: delPoolChanged,
			Text: "leaves nothing if the pool of the configuration has changed since ADD",
		},
		{
			ID: "del-after-failed-add", Level: Must, Source: "SPEC 3: delete after a failed add", run: func(t *trial) { delAfterFailed(t); t.intactBut("DEL") },
			Text: "succeeds after an ADD that failed",
		},
		{
			ID: "del-after-failed-add-leaves", Level: Should, Source: "SPEC 3: delete after a failed add", run: func(t *trial) { delAfterFailed(t); t.cleanBut("DEL") },
			Text: "leaves nothing after an ADD that failed, and DEL",
		},
	}
}

func nothing(*trial, *nettest.Container) {}

func interfaceAbsent(t *trial, c *nettest.Container) { t.remove(c.Netns, "eth0") }

// variantsOf returns the patches of some variants.
func (t *trial) variantsOf(names []string) []conf {
	var patches []conf
	for _, name := range names {
		patches = append(patches, t.variant(name))
	}
	return patches
}

// delAfter attaches a container beside a resident, breaks something, and detaches it: nothing must be left.
func delAfter(t *trial, broken func(*trial, *nettest.Container), names ...string) {
	config := t.conf(t.variantsOf(names)...)
	c := t.newcomer(config)
	t.add(c, config)
	broken(t, c)
	t.del(c, config)
	if has(c.Netns, "eth0") {
		t.Fatalf("DEL leaves the interface")
	}
	t.clean("DEL")
}

func delInterfaceAbsent(t *trial) {
	c, _ := t.attach("c", t.conf())
	interfaceAbsent(t, c)
	t.del(c, t.conf())
}

func delSilent(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.silent(t.do(t.call("DEL", c, t.conf())), "DEL")
}

func delTwice(t *trial) {
	c := t.newcomer(t.conf())
	t.add(c, t.conf())
	for _, which := range []string{"the first DEL", "the second DEL", "the third DEL"} {
		t.succeeds(t.do(t.call("DEL", c, t.conf())), which)
	}
	t.intact("three DELs")
}

func delNeverAdded(t *trial) {
	c := t.host.Container("c")
	t.baseline()
	t.del(c, t.conf())
	t.host.Allow("file ") // locks
	t.clean("DEL")
}

func delWithPrev(t *trial) {
	c := t.newcomer(t.conf())
	r := t.add(c, t.conf())
	t.del(c, withPrev(t.conf(), r))
	t.clean("DEL")
}

func delForeignPrev(t *trial) {
	_, foreign := t.resident(t.conf())
	c := t.host.Container("c")
	t.baseline()
	t.add(c, t.conf())
	t.del(c, withPrev(t.conf(), foreign))
	t.clean("DEL")
}

func delOtherInterface(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.baseline()
	call := t.call("DEL", c, t.conf())
	call.IfName = "eth1"
	t.succeeds(t.do(call), "DEL")
	t.clean("DEL of eth1")
}

func delOtherNetwork(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.on("other", func() {
		t.attach("resident", t.conf(t.variant("otherPool")))
		t.baseline()
		call := t.call("ADD", c, t.conf(t.variant("otherPool")))
		call.IfName = "eth1"
		t.result(t.do(call))
		call.Command = "DEL"
		t.succeeds(t.do(call), "DEL")
	})
	t.clean("DEL of the other network")
}

func delReleases(t *trial) {
	config := t.conf(t.variant("smallPool"))
	for i := range 10 {
		c, _ := t.attach(fmt.Sprint("c", i), config)
		t.del(c, config)
	}
}
