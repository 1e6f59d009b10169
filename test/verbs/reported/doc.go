// Package reported tests inputs that failed in the field: public bug reports, public configurations and attacks.
// Every row runs the built binary on a host of its own and is named by the number of its case, its input, and its kind:
//
//	TestAddresses/1_adopted_bridge_keeps_its_address_--_address_of_the_bridge
//
// A case 7 has a row "7" and at least three rows "7.1", "7.2", "7.3" of the same kind; TestEveryCaseHasItsRows counts them.
// The rows of a subject are in the file of that name. Hosts and containers are those of nettest.
package reported
