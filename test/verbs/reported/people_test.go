package reported

import (
	"slices"
	"testing"
)

// Claim: doctor reports an address that a container interface has beside its record and that conflicts on the bridge, and prints the
// command that deletes it in the namespace
// Claim: doctor notes a missing default route of the host in a family in which containers need one, and exits with 0; it notes nothing
// where another route leads outside
// Claim: `down` deletes the namespace that `up` created after `detach`, after lost records and after `gc`, and never another of its name;
// without `--network` the network is `patchbay`; a command that cannot do what was asked exits with 1 and suggests what was meant; a
// namespace of `up` uses name servers that it can reach
// Claim: Documentation describes this version: a key that a page calls unavailable is refused, and every key, command, flag and file that
// the pages name exists
// Claim: An error of a command names the flag, not the variable or key of CNI
// Claim: An address of `--ip` that cannot be given has one reason, the ranges if it is outside of them, and a remedy that fits the
// network: on a LAN another address
// Claim: An error for an unknown name says what was looked for, what exists, and a similar name but never the same one; a file of networks
// that cannot be read does not block other networks or bridges
// Claim: For a name that `ls` prints for an attachment of a runtime, `detach` and `down` say that the runtime has to delete it; the name
// of an attachment of a command detaches it
// Claim: Shortened names in the picture and in tables stay different, and keep the part in which pods of one deployment differ
// Claim: doctor reports records that are missing or cannot be read, every attachment without its host interface with a remedy that its
// owner can use, files of networks that cannot be used, and name servers that a namespace cannot reach; it finds no problems only where
// everything could be checked
func TestCommandCases(t *testing.T) { runRows(t, people()) }

func people() []row {
	return slices.Concat(machines(), pictures(), downs(), defaultNetworks(), commandLines(), flagWords(), lookUps(), requestedAddresses(), docs(), doctors(), resolvers(), laterResolvers())
}
