// Package cluster tests patchbay-agent with a real API server: etcd and kube-apiserver in a network namespace, Node objects that the tests
// create, and three hosts on one LAN. There is no kubelet: pods are attached by calling the plugin with the network configuration that the
// agent has written.
package cluster
