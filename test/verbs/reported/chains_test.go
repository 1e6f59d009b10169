package reported

import (
	"slices"
	"testing"
)

// Claim: CHECK allows for changes by later plugins of the list: the reference tuning and sbr, flushed routes, addresses removed or added
// Claim: ADD creates a veth pair if `prevResult` names no host interface of this container; the lists of Nomad, BuildKit and Apptainer
// work, with loopback first; interfaces of the host and of other containers never become bridge ports
// Claim: The name of the executable selects main plugin or IPAM plugin; a main plugin's configuration never succeeds without an interface
// Claim: Every mapping that can be published is published once; a mapping that no packet can reach is a line on stderr, and for `-p` an
// error that names the flag
// Claim: A key with null or with the zero value of its type counts as not set, also in CNI_ARGS
// Claim: A whole network configuration list on stdin is refused with what to pass instead; DEL works with it
func TestChainsAndArguments(t *testing.T) { runRows(t, chains()) }

func chains() []row {
	return slices.Concat(previous(), shipped(), later(), ports(), nothingGiven(), roles())
}
