// Package vlan tests the keys vlan, vlanTrunk, preserveDefaultVlan and portIsolation with traffic. On a kernel without VLAN filtering of
// bridges the tests require the error that says so; `make test-kernels` runs them where VLANs exist.
package vlan
