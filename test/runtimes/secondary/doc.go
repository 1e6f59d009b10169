// Package secondary tests pods with a default network and secondary ones: an access VLAN and a trunk of VLANs on one bridge, as KubeVirt's
// virtual machines have them. The callers are ocicni, the library of CRI-O, and the plugin Multus, if it is in .cache/bin: the Go module
// proxy does not have its module. On a kernel without VLAN filtering the tests require the error that says so.
package secondary
