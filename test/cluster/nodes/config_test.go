package nodes

import "fmt"

// Networks of the cluster.
const (
	clusterCIDRs = "10.244.0.0/16,fd00:10:244::/48"
	serviceCIDRs = "10.96.0.0/16,fd00:10:96::/112"
	apiAddress   = "192.0.2.100"
	proxyToken   = "proxy-of-tests"
	serverImage  = "patchbay.test/server:1"
	sandboxImage = "patchbay.test/sandbox:1"
)

// kubeletConfig is for a node that has a part of the machine's cgroups. A container that ends is started again within a second, so that the agent
// can be killed often.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
nodeStatusUpdateFrequency: 10s
evictionHard: {"memory.available": "100Mi"}
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
`

// containerdConfig is that of containerd 2. Kubelet asks for the state of the network, which is a STATUS of the plugin.
const containerdConfig = `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "` + sandboxImage + `"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
`

// kubeconfig returns a configuration of a client with a token.
func (c *cluster) kubeconfig(token string) string {
	return `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "` + c.api.URL() + `", certificate-authority: "` + c.api.Path("apiserver.crt") + `"}}]
users: [{name: u, user: {token: ` + token + `}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`
}

// nodeToken returns the token of the kubelet of a node.
func nodeToken(number int) string { return fmt.Sprintf("kubelet-of-node-%d", number) }
