package lists

// list is a configuration of testdata.
type list struct {
	caller string
	file   string
	source string // repository and path
	filled string // what the project fills in, and what testdata has in its place; "" for nothing
	refuse string // what the error names, on a kernel without VLAN filtering; "" if every kernel can do it
}

// lists returns the configurations.
func lists() []list {
	const kubeRouter = "`ipam.subnet`, which kube-router adds from the node's podCIDR"
	return []list{
		{"containerd", "containerd.conflist", "containerd/containerd script/setup/install-cni", "", ""},
		{"CRI-O, both families", "crio.conf", "cri-o/cri-o contrib/cni/10-crio-bridge.conflist", "", ""},
		{"CRI-O, IPv4", "crio-ipv4.conflist", "cri-o/cri-o contrib/cni/11-crio-ipv4-bridge.conflist", "", ""},
		{"Podman, default network", "podman.conflist", "containers/podman cni/87-podman-bridge.conflist", "", ""},
		{"Podman, `network create`", "podman-network-create.conflist", "containers/common libnetwork/cni/cni_types.go", "name, bridge, labels and range", ""},
		{"nerdctl", "nerdctl.conflist", "containerd/nerdctl docs/cni.md", "", ""},
		{"Nomad", "nomad.conflist", "hashicorp/nomad client/allocrunner/networking_bridge_linux.go", "bridge, subnet and hairpinMode: the defaults", ""},
		{"Nomad, both families", "nomad-ipv6.conflist", "hashicorp/nomad client/allocrunner/cni/bridge.go", "bridge, IPv4 subnet and hairpinMode: the defaults; an IPv6 subnet", ""},
		{"k3s, flannel", "flannel.conflist", "flannel-io/flannel Documentation/kube-flannel.yml, flannel-io/cni-plugin flannel_linux.go", "the first plugin: what `flannel` passes to `bridge`", ""},
		{"minikube", "minikube.conflist", "kubernetes/minikube pkg/minikube/cni/bridge.go", "the subnet: the default", ""},
		{"BuildKit", "buildkit.conf", "moby/buildkit hack/fixtures/cni.json", "", ""},
		{"Dagger", "dagger.conflist", "dagger/dagger buildkit/hack/fixtures/dns-cni.conflist", "", ""},
		{"Apptainer, Singularity", "apptainer.conflist", "apptainer/singularity etc/network/00_bridge.conflist", "", ""},
		{"faasd", "faasd.conflist", "openfaas/faasd pkg/cninetwork/cni_network.go", "names, subnet and dataDir: the defaults", ""},
		{"Ignite", "ignite.conflist", "weaveworks/ignite pkg/network/cni/cni.go", "names and subnet: the defaults", ""},
		{"Kubernetes the hard way", "hardway.conf", "kelseyhightower/kubernetes-the-hard-way configs/10-bridge.conf", "the subnet", ""},
		{"kops, kube-router", "kops.conflist", "kubernetes/kops upup/models/cloudup/resources/addons/networking.kuberouter/k8s-1.12.yaml.template", kubeRouter, ""},
		{"k0s, kube-router", "k0s.conflist", "k0sproject/k0s pkg/component/controller/kuberouter.go", kubeRouter + "; hairpinMode and mtu", ""},
		{"Concourse, IPv4", "concourse.conflist", "concourse/concourse worker/runtime/cni_network.go", "names and subnet: the defaults", ""},
		{"Concourse, IPv6", "concourse-ipv6.conflist", "concourse/concourse worker/runtime/cni_network.go", "names and subnet: the defaults", ""},
		{"Firecracker", "firecracker.conflist", "a public guide to the Firecracker Go SDK", "bridge and subnet: the guide's", ""},
		{"Kata Containers", "kata.conflist", "kata-containers/tests .ci/configure_cni.sh", "", ""},
		{"AKS kubenet", "aks-kubenet.conflist", "Azure/AgentBaker aks-node-controller/parser/parser.go", "ranges and routes", ""},
		{"cri-dockerd kubenet", "cri-dockerd-kubenet.conf", "Mirantis/cri-dockerd network/kubenet/kubenet_linux.go", "bridge, mtu, ranges and routes", ""},
		{"OpenShift, Multus", "openshift.conf", "openshift/openshift-docs modules/virt-creating-linux-bridge-nad-cli.adoc", "bridge; macspoofchk, and no VLAN", ""},
		{"KubeVirt, VLAN", "kubevirt-vlan.conf", "openshift/openshift-docs modules/virt-creating-linux-bridge-nad-cli.adoc", "", "vlan"},
	}
}
