package dist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// manifestsOf decodes the two objects of a file; a key that Kubernetes does not know, or that is there twice, is an error.
func manifestsOf(t testing.TB, path string) (core.ServiceAccount, apps.DaemonSet) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	var account core.ServiceAccount
	var daemons apps.DaemonSet
	parts := strings.Split(string(text), "\n---\n")
	expect.Equal(t, "objects", len(parts), 2)
	check(t, yaml.UnmarshalStrict([]byte(parts[0]), &account))
	check(t, yaml.UnmarshalStrict([]byte(parts[1]), &daemons))
	expect.Equal(t, "types", []meta.TypeMeta{account.TypeMeta, daemons.TypeMeta}, []meta.TypeMeta{
		{Kind: "ServiceAccount", APIVersion: "v1"}, {Kind: "DaemonSet", APIVersion: "apps/v1"},
	})
	return account, daemons
}

// mounts returns what a container mounts, "VOLUME PATH", with "read-only" behind it.
func mounts(c core.Container) (all []string) {
	for _, m := range c.VolumeMounts {
		text := m.Name + " " + m.MountPath
		if m.ReadOnly {
			text += " read-only"
		}
		all = append(all, text)
	}
	return all
}

// hostPaths returns the paths of the host that a pod may mount.
func hostPaths(pod core.PodSpec) (all []string) {
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			all = append(all, v.HostPath.Path)
		}
	}
	return all
}

// unprivileged requires that a container has no capability, cannot get one, and cannot write to its own files.
func unprivileged(t *testing.T, c core.Container) {
	t.Helper()
	s := c.SecurityContext
	if s.Privileged != nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Capabilities.Add != nil || s.SeccompProfile != nil {
		t.Errorf("%s has more rights than it needs: %v", c.Name, s)
	}
	expect.Equal(t, "dropped capabilities", s.Capabilities.Drop, []core.Capability{"ALL"})
	expect.Equal(t, "commands in place of the image's", c.Command, nil)
}

// TestManifests: both DaemonSets decode strictly, select their own pods, and have the rights that they need and no other.
//
// Claim: The DaemonSets for Kubernetes are valid, and run without a capability, privileges, a token of the API server or a writable root file system;
// only their init containers mount directories of the host
func TestManifests(t *testing.T) {
	for name, want := range map[string]struct{ args, paths, mounts []string }{
		"install": {
			[]string{"install", "--loopback", "--conf", "/networks/$(NODE_NAME).conflist"},
			[]string{"/opt/cni/bin", "/etc/cni/net.d"},
			[]string{"bin /opt/cni/bin", "net /etc/cni/net.d", "networks /networks read-only"},
		},
		"uninstall": {
			[]string{"uninstall", "--unused"},
			[]string{"/opt/cni/bin", "/etc/cni/net.d", "/run/patchbay"},
			[]string{"bin /opt/cni/bin", "net /etc/cni/net.d", "records /run/patchbay read-only"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			account, set := manifestsOf(t, filepath.Join("../../../conf/kubernetes", name+".yaml"))
			pod := set.Spec.Template.Spec
			expect.Equal(t, "labels", set.Spec.Template.Labels, set.Spec.Selector.MatchLabels)
			expect.Equal(t, "account", []string{pod.ServiceAccountName, set.Namespace}, []string{account.Name, account.Namespace})
			expect.Equal(t, "tokens", []bool{*account.AutomountServiceAccountToken, *pod.AutomountServiceAccountToken, pod.HostPID, pod.HostIPC}, make([]bool, 4))
			expect.Equal(t, "seccomp", pod.SecurityContext.SeccompProfile.Type, core.SeccompProfileTypeRuntimeDefault)
			expect.Equal(t, "tolerations", pod.Tolerations, []core.Toleration{{Operator: core.TolerationOpExists}})
			expect.Equal(t, "priority and update", []string{pod.PriorityClassName, string(set.Spec.UpdateStrategy.Type)}, []string{"system-node-critical", "RollingUpdate"})
			expect.Equal(t, "paths of the host", hostPaths(pod), want.paths)
			expect.Equal(t, "containers", []int{len(pod.InitContainers), len(pod.Containers)}, []int{1, 1})
			first, second := pod.InitContainers[0], pod.Containers[0]
			expect.Equal(t, "arguments", first.Args, want.args)
			expect.Equal(t, "mounts", mounts(first), want.mounts)
			unprivileged(t, first)
			unprivileged(t, second)
			expect.Equal(t, "pause", second.Args, []string{"pause"})
			if len(mounts(second)) > 0 || !*second.SecurityContext.RunAsNonRoot {
				t.Error("the container that stays has a volume, or is root")
			}
		})
	}
}

// TestManifestsOfRelease: those of the release name its image, and are else those of the repository.
//
// Claim: The manifests of a release name its image
func TestManifestsOfRelease(t *testing.T) {
	for _, name := range []string{"install", "uninstall"} {
		_, set := manifestsOf(t, release.Path(t, name+".yaml"))
		for _, c := range append(set.Spec.Template.Spec.InitContainers, set.Spec.Template.Spec.Containers...) {
			expect.Equal(t, "image", c.Image, release.Image)
		}
	}
}

// TestAgentManifest: the container that installs the plugin has no capability, and the agent has NET_ADMIN alone and a read-only root.
//
// Claim: The agent of a release has the capability NET_ADMIN and no other, and a read-only root file system
// Claim: The manifests of a release name its image
func TestAgentManifest(t *testing.T) {
	for _, path := range []string{"../../../conf/kubernetes/agent.yaml", release.Path(t, "agent.yaml")} {
		text, err := os.ReadFile(path)
		check(t, err)
		var set apps.DaemonSet
		parts := strings.Split(string(text), "\n---\n")
		check(t, yaml.UnmarshalStrict([]byte(parts[len(parts)-1]), &set))
		pod := set.Spec.Template.Spec
		expect.Equal(t, "containers", []int{len(pod.InitContainers), len(pod.Containers)}, []int{1, 1})
		unprivileged(t, pod.InitContainers[0])
		expect.Equal(t, "arguments", pod.InitContainers[0].Args, []string{"install", "--loopback"})
		expect.Equal(t, "image of the plugin", pod.InitContainers[0].Image, release.Image)
		agent := pod.Containers[0]
		expect.Equal(t, "image of the agent", agent.Image, release.AgentImage)
		expect.Equal(t, "capabilities", append(agent.SecurityContext.Capabilities.Drop, agent.SecurityContext.Capabilities.Add...), []core.Capability{"ALL", "NET_ADMIN"})
		if !*agent.SecurityContext.ReadOnlyRootFilesystem || *agent.SecurityContext.AllowPrivilegeEscalation || !pod.HostNetwork {
			t.Errorf("%s: %+v", path, agent.SecurityContext)
		}
	}
}
