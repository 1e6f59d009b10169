package conformance

func statusChecks() []Check {
	return since("1.1.0", []Check{
		{
			ID: "status", Level: Must, Source: "SPEC 2, STATUS", run: statusReady,
			Text: "succeeds with STATUS if it can serve ADD, on a host without attachments and with one",
		},
		{
			ID: "status-silent", Level: Practice, Source: "STATUS has no result", run: statusSilent,
			Text: "prints nothing on stdout when STATUS succeeds",
		},
		{
			ID: "status-environment", Level: Must, Source: "SPEC 2, STATUS", run: statusEnvironment,
			Text: "accepts STATUS with no other variables than CNI_COMMAND and CNI_PATH",
		},
		{
			ID: "status-changes-nothing", Level: Practice, Source: "SPEC 2, STATUS: purely informational", run: statusChangesNothing,
			Text: "changes nothing with STATUS",
		},
		{
			ID: "status-exhausted", Level: Should, Source: "SPEC 2, STATUS: resources are exhausted", Needs: []string{"smallPool"}, run: statusExhausted,
			Text: "fails with STATUS if no address is left",
		},
		{
			ID: "status-exhausted-code", Level: Should, Source: "SPEC 2, STATUS: codes", Needs: []string{"smallPool"}, run: statusExhaustedCode,
			Text: "fails with code 50 or 51, if STATUS fails because no address is left",
		},
		{
			ID: "status-delegated", Level: Must, Source: "SPEC 2, STATUS: delegated plugins", Needs: []string{"unknownIPAM"}, run: statusDelegated,
			Text: "fails with STATUS if the delegated plugin does not exist",
		},
		{
			ID: "status-after-failure", Level: Should, Source: "SPEC 2, STATUS: expect other operations", Needs: []string{"smallPool"}, run: statusThenDel,
			Text: "accepts DEL and the next ADD after a STATUS that failed",
		},
	})
}

func statusReady(t *trial) {
	t.succeeds(t.do(t.call("STATUS", nil, t.conf())), "STATUS before the first ADD")
	t.attach("c", t.conf())
	t.succeeds(t.do(t.call("STATUS", nil, t.conf())), "STATUS")
}

func statusSilent(t *trial) { t.silent(t.do(t.call("STATUS", nil, t.conf())), "STATUS") }

func statusEnvironment(t *trial) {
	call := t.call("STATUS", nil, t.conf())
	call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"}
	t.succeeds(t.do(call), "STATUS")
}

func statusChangesNothing(t *trial) {
	t.baseline()
	t.succeeds(t.do(t.call("STATUS", nil, t.conf())), "STATUS")
	t.clean("STATUS")
}

func statusExhausted(t *trial) {
	config := t.conf(t.variant("smallPool"))
	t.exhaust(config)
	t.refuses(t.do(t.call("STATUS", nil, config)), "STATUS")
}

func statusExhaustedCode(t *trial) {
	config := t.conf(t.variant("smallPool"))
	t.exhaust(config)
	a := t.do(t.call("STATUS", nil, config))
	if a.Exit == 0 {
		t.Skipf("STATUS succeeds, see status-exhausted")
	}
	t.coded(a, "STATUS", 50, 51)
}

func statusDelegated(t *trial) {
	t.refuses(t.do(t.call("STATUS", nil, t.conf(t.variant("unknownIPAM")))), "STATUS")
}

func statusThenDel(t *trial) {
	config := t.conf(t.variant("smallPool"))
	all := t.exhaust(config)
	t.do(t.call("STATUS", nil, config))
	t.del(all[0], config)
	t.add(all[0], config)
}
