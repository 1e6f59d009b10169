// Package nomad tests the drop-in with the calls of Nomad 2.0: the fingerprint of its client, its two lists, and what
// it does when an allocation starts, is restored and stops.
//
// It does not run Nomad, which cannot be had as a Go module. The calls are made through the libraries that Nomad calls
// plugins with: go-cni, the parser of versions hashicorp/go-version, and go-iptables for its chain NOMAD-ADMIN. The
// lists are in test/runtimes/lists/testdata.
package nomad
