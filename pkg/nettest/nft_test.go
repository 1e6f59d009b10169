package nettest

import (
	"strings"
	"testing"
)

// TestOracleNoticesRules needs the nft program, without which the oracle does
// not look at rules.
func TestOracleNoticesRules(t *testing.T) {
	t.Parallel()
	Need(t, Tool("nft"), NFTables)
	r := record(t, func(t testing.TB) {
		h := Host(t)
		h.oracle.wait = 0
		h.Run(t, "nft", "add", "table", "inet", "leak")
	})
	checkSaid(t, r, `+ nft {"table":{"family":"inet","name":"leak"}}: 1`)
}

// An attachment may leave our tables with what bridges have there, but no element of its own.
func TestOracleNoticesElements(t *testing.T) {
	t.Parallel()
	Need(t, Tool("nft"), NFTables)
	r := record(t, func(t testing.TB) {
		h := Host(t)
		h.oracle.wait = 0
		h.Run(t, "nft", "add table inet patchbay; add chain inet patchbay c; add map inet patchbay m { type ipv4_addr : verdict; }; "+
			"add element inet patchbay m { 10.1.2.3 comment \"lost\" : jump c }; "+
			"add set inet patchbay isolated { type ifname; }; add element inet patchbay isolated { cni0 }; add table bridge patchbay")
	})
	checkSaid(t, r, `+ nft element patchbay m `)
	if strings.Contains(r.said(), `"chain"`) || strings.Contains(r.said(), "cni0") || strings.Contains(r.said(), `"bridge"`) {
		t.Errorf("the oracle complains of what may stay: %s", r.said())
	}
}
