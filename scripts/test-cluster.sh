#!/usr/bin/env bash
# Run the tests of test/cluster: patchbay-agent with a real API server. etcd and kube-apiserver are built once under .cache from the
# modules of scripts/etcd and scripts/k8s, until they or Go change: about half an hour of CPU time.
#
#   RUN=regexp            only the tests that match
#   TIMEOUT=30m           of all tests
#   PATCHBAY_FAULTS=all   all kills of TestCrash; 0, 1 or 2: that third. Without it another third each day
#   PATCHBAY_NODES=1000   Node objects of TestScale (20 to 5000); FORMAT=standard-verbose prints its figures
#   PATCHBAY_MODE=auto    its mode
set -euo pipefail
. "$(dirname "$0")/lib.sh"

find_go
need_root
need_tools ip ping setpriv
build_patchbay
build_agent
build_etcd
build_k8s kube-apiserver
build_flannel
choose_third
run_and_check cluster ./cluster
