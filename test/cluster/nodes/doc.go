// Package nodes tests patchbay-agent and the plugin in a cluster: etcd, kube-apiserver, kube-controller-manager and kube-scheduler in a network
// namespace, and three nodes, each with a kubelet, a containerd and a kube-proxy in mode nftables, on one LAN. The nodes get their network by the
// DaemonSet of conf/kubernetes/agent.yaml, with the images of `make dist`. `make cluster` runs it.
package nodes
