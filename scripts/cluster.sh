#!/usr/bin/env bash
# Run the tests of test/cluster/nodes: three kubelets with containerd and kube-proxy, and a control plane, all in namespaces. The programs of
# Kubernetes, etcd and containerd are built once under .cache from the modules of scripts/k8s, scripts/etcd and scripts/containerd, until these or Go
# change: about 40 minutes of CPU time, of which `make test-cluster` has spent most if it ran before.
#
#   RUN=regexp       only the tests that match: RUN=TestCluster/Mesh
#   TIMEOUT=30m      of all tests; FORMAT=standard-verbose prints the figures
#   PATCHBAY_API_DOWN=10m   how long TestFailures has the API server down; 20s by default
#   HOLD=1           no tests: the cluster runs until Ctrl-C, and is then taken down
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# hold runs the cluster for a person. Ctrl-C reaches the program, which ends by itself.
hold() {
	trap : INT
	as_builder go -C "$ROOT/test" test -c -o "$ROOT/.cache/cluster/nodes.test" ./cluster/nodes
	cd "$ROOT/test/cluster/nodes"
	PATCHBAY_HOLD=1 as_root "$ROOT/.cache/cluster/nodes.test" -test.v -test.run '^TestCluster$' -test.timeout 0
}

find_go
need_root
need_tools ip ping nft nsenter unshare mount
unpack_containerd
build_patchbay
build_agent
build_etcd
build_containerd2
build_k8s kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy
build_dist_tools
build_cluster_images
go_static -C "$ROOT/test" build -trimpath -ldflags "-s -w" -o "$PATCHBAY_CACHE_BIN/" github.com/containernetworking/plugins/plugins/main/loopback
if [[ -n ${HOLD:-} ]]; then hold; exit; fi
run_and_check nodes ./cluster/nodes
