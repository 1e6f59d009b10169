package packages

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/image"
)

// otherList is the network that the machine has before, of the reference plugins of Debian.
const otherList = `{"cniVersion": "0.4.0", "name": "other", "plugins": [
	{"type": "bridge", "bridge": "other0", "isGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}]}`

// pause is the name of the image of sandboxes in Debian's containerd.
const pause = "registry.k8s.io/pause:3.6"

// pod is a sandbox of containerd.
type pod struct{ ID, IP, Netns string }

// startContainerd starts the containerd of the machine, with its own configuration.
func (s *site) startContainerd(t *testing.T) {
	t.Helper()
	s.Write(t, "/etc/cni/net.d/20-other.conflist", "0644", []byte(otherList))
	s.Write(t, "/root/pause.tar", "0644", image.DockerOf(t, nettest.Program(t, "../vm/busybox"), pause, "/bin/busybox", "sleep", "1000000"))
	s.Shell(t, "systemctl start containerd; ctr -n k8s.io images import /root/pause.tar")
	s.until(t, "containerd is ready", func() bool { return s.Try(t, "/root/guest", "pod", "ready").Exit == 0 })
}

// runPod runs a sandbox.
func (s *site) runPod(t *testing.T, name string) (p pod) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.Run(t, "/root/guest", "pod", "run", name)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// reaches requires that a pod reaches what is beyond the router, which has no route to it.
func (s *site) reaches(t *testing.T, p pod) {
	t.Helper()
	s.Run(t, "nsenter", "--net="+p.Netns, "ping", "-c", "2", "-W", "10", beyond4)
}

// TestInstall: a machine whose containerd has a pod on another network gets the package, and a network of Patchbay with a pod of its own. The package is
// removed, and then purged.
//
// Claim: On a fresh Debian 12 `dpkg -i` installs a program that the containerd of Debian finds, enabled and valid units, manual pages and completions
// Claim: On Debian 12 removal of the .deb is refused while a pod of containerd uses it; after purge files and kernel are as before, but for forwarding
func TestInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startContainerd(t)
	other := s.runPod(t, "other")
	s.reaches(t, other)
	files, kernel := s.files(t), s.kernel(t)

	s.dpkg(t, "-i /root/newer.deb")
	s.isComplete(t)
	s.reaches(t, other)
	s.podOfPatchbay(t)
	s.dpkg(t, "-i /root/newer.deb") // once more
	s.installed(t, newer)
	s.active(t, units)

	out := s.dpkg(t, "-r patchbay")
	expect.Contains(t, out, "deleted /etc/cni/net.d/10-bridge.conflist", "deleted table inet patchbay of nftables", "deleted bridge cni0")
	s.reaches(t, other)
	expect.Equal(t, "programs after removal", s.Shell(t, "ls -d "+program+" /usr/bin/patchbay /usr/lib/cni/patchbay 2>/dev/null || :"), "")
	s.dpkg(t, "-P patchbay")
	s.asBefore(t, files, kernel)
	s.reaches(t, other)
	s.Run(t, "/root/guest", "pod", "remove", other.ID)
}

// isComplete requires everything that docs/releases.md says of the package.
func (s *site) isComplete(t *testing.T) {
	t.Helper()
	s.installed(t, newer)
	expect.Equal(t, "program", s.Shell(t, "stat -c '%A %U:%G' "+program), "-rwxr-xr-x root:root\n")
	for _, link := range []string{"/usr/bin/patchbay", "/usr/lib/cni/patchbay", "/usr/libexec/cni/patchbay"} {
		expect.Equal(t, link, s.Shell(t, "readlink -e "+link), program+"\n")
	}
	expect.Equal(t, "paths of the package that are not there", s.Shell(t, `dpkg -L patchbay | while read -r path; do [ -e "$path" ] || echo "$path"; done`), "")
	expect.Equal(t, "systemd-analyze verify", s.Shell(t, "systemd-analyze verify --man=no /usr/lib/systemd/system/patchbay-* 2>&1"), "")
	expect.Equal(t, "enabled", s.Shell(t, "systemctl is-enabled "+units), "enabled\nenabled\nenabled\n")
	s.active(t, units)
	expect.Equal(t, "failed units", s.Shell(t, "systemctl --failed --no-legend --plain"), "")
	for command := range strings.FieldsSeq("ls up down doctor reload install") {
		expect.Contains(t, s.Shell(t, "zcat /usr/share/man/man1/patchbay-"+command+".1.gz"), `.SH NAME`+"\npatchbay\\-"+command+" ")
	}
	expect.Contains(t, s.Shell(t, "bash -c '. /usr/share/bash-completion/completions/patchbay; complete -p patchbay'"), "complete ")
	expect.Contains(t, s.Run(t, "cat", "/usr/lib/systemd/network/05-patchbay.network"), "Unmanaged=yes")
	expect.Contains(t, s.Run(t, "cat", "/usr/lib/NetworkManager/conf.d/90-patchbay.conf"), "unmanaged-devices")
	expect.Contains(t, s.Run(t, "patchbay", "doctor"), "no problems found")
	expect.Contains(t, s.Run(t, "patchbay", "status"), "attachments: 0")
}

// podOfPatchbay installs the example as the page says, runs a pod on it, tries to remove the package, and removes the pod.
func (s *site) podOfPatchbay(t *testing.T) {
	t.Helper()
	expect.Contains(t, s.Run(t, "patchbay", "install", "--conf", "/usr/share/doc/patchbay/examples/bridge.conflist"), "created /etc/cni/net.d/10-bridge.conflist")
	var p pod
	s.until(t, "containerd has read the network", func() bool {
		p = s.runPod(t, "web")
		if strings.HasPrefix(p.IP, "10.88.") {
			return true
		}
		s.Run(t, "/root/guest", "pod", "remove", p.ID)
		return false
	})
	s.reaches(t, p)
	name := "bridge/" + p.ID + "/eth0"
	expect.Contains(t, s.Run(t, "patchbay", "ls", "-o", "json"), p.ID, p.IP)
	expect.Contains(t, s.Run(t, "patchbay", "doctor"), "no problems found; examined 1 attachment of 1 network")
	s.refused(t, name)
	s.reaches(t, p)
	s.Run(t, "/root/guest", "pod", "remove", p.ID)
	expect.Equal(t, "attachments", s.Run(t, "patchbay", "ls", "-o", "name"), "")
}
