package nettest

import "testing"

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
