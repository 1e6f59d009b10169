package podman

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// conf is a configuration that the image installs.
const conf = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "patchbay", "bridge": "cni7", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.244.1.0/24"}]]}}]}`

// releaseNode is what a node of Kubernetes has in the places that conf/kubernetes/install.yaml mounts.
func (s *scene) releaseNode() {
	s.t.Helper()
	s.podman("load", "--input", release.Path(s.t, "patchbay-"+release.Version+"-image.tar"))
	s.run("mkdir", "-p", "/run/node/bin", "/run/node/net.d", "/run/node/networks", "/run/patchbay")
	s.run("sh", "-c", `printf %s "$0" >/run/node/networks/n1.conflist`, conf)
}

// initContainer returns the arguments of podman that run the image with the rights of the init containers of conf/kubernetes.
func (s *scene) initContainer(args ...string) []string {
	all := s.common("--rm", "--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--volume", "/run/node/bin:/opt/cni/bin", "--volume", "/run/node/net.d:/etc/cni/net.d", "--volume", "/run/node/networks:/networks:ro", "--volume", "/run/patchbay:/run/patchbay:ro",
		s.imageID())
	return append(all, args...)
}

// imageID returns the one image that has the program as its entrypoint.
func (s *scene) imageID() string {
	s.t.Helper()
	for id := range strings.FieldsSeq(s.podman("images", "--quiet", "--no-trunc")) {
		if strings.Contains(s.podman("inspect", "--format", "{{.Config.Entrypoint}}", id), "/patchbay") {
			return id
		}
	}
	s.t.Fatal("no image of the release was loaded")
	return ""
}

// names returns the names in a directory of the node, hidden ones too.
func (s *scene) names(dir string) string {
	s.t.Helper()
	return s.run("sh", "-c", `ls -A "$0" | LC_ALL=C sort | paste -sd ' '`, dir)
}

// TestReleaseImage: the image of a release installs program and configuration into mounted directories, over what an earlier version installed, with no
// capability and without leaving a temporary file; while an attachment exists --unused keeps both; then both are removed.
//
// Claim: The image installs the program and then its configuration into mounted directories of a node, with no capability and a read-only root
// Claim: `uninstall.yaml` keeps program and configuration while a node has attachments, and then removes both
func TestReleaseImage(t *testing.T) {
	s := newScene(t)
	s.releaseNode()
	for _, want := range [][]string{
		{"created /opt/cni/bin/patchbay", "created /opt/cni/bin/loopback", "created /etc/cni/net.d/10-n1.conflist"},
		{"already installed /opt/cni/bin/patchbay", "already installed /opt/cni/bin/loopback", "already installed /etc/cni/net.d/10-n1.conflist"},
	} {
		out := s.podman(s.initContainer("install", "--loopback", "--conf", "/networks/n1.conflist")...)
		expect.Equal(t, "output of install", strings.Split(out, "\n"), want)
	}
	expect.Equal(t, "plugins", s.names("/run/node/bin"), ".patchbay loopback patchbay")
	expect.Equal(t, "configurations", s.names("/run/node/net.d"), "10-n1.conflist")
	expect.Equal(t, "configuration", s.run("cat", "/run/node/net.d/10-n1.conflist"), conf)
	expect.Contains(t, s.run("/run/node/bin/patchbay", "version"), "patchbay "+release.Version+" ")

	s.start("web")
	out, err := s.try(append([]string{"podman"}, s.initContainer("uninstall", "--unused")...)...)
	if err == nil {
		t.Error("uninstall --unused is not refused while a container has an attachment")
	}
	expect.Contains(t, out, "attachments exist: podman/")
	expect.Equal(t, "configurations", s.names("/run/node/net.d"), "10-n1.conflist")
	s.podman("rm", "--force", "--time", "0", "web")
	out = s.podman(s.initContainer("uninstall", "--unused")...)
	expect.Equal(t, "output of uninstall", strings.Split(out, "\n"), []string{
		"deleted /etc/cni/net.d/10-n1.conflist", "deleted /opt/cni/bin/loopback", "deleted /opt/cni/bin/patchbay", "deleted /opt/cni/bin/.patchbay",
	})
	expect.Equal(t, "plugins", s.names("/run/node/bin"), "")
	expect.Equal(t, "configurations", s.names("/run/node/net.d"), "")
	s.NoLeaks(t)
}

// TestReleasePause: the container that stays, as process 1 and not as root, ends at once with status 0 when it is stopped.
//
// Claim: The container of the DaemonSets that stays is not root, and ends with status 0 on SIGTERM
func TestReleasePause(t *testing.T) {
	s := newScene(t)
	s.releaseNode()
	args := s.common("--detach", "--name", "pause", "--network", "host", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534", s.imageID(), "pause")
	s.podman(args...)
	cmd := s.command("podman", "logs", "--follow", "pause")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "waiting for a signal\n" {
		t.Errorf("the container said %q: %v", line, err)
	}
	s.podman("stop", "--time", "60", "pause")
	_ = cmd.Wait()
	var state []struct{ State struct{ ExitCode int } }
	if err := json.Unmarshal([]byte(s.podman("inspect", "pause")), &state); err != nil || len(state) != 1 {
		t.Fatalf("inspect: %v", err)
	}
	expect.Equal(t, "exit status", state[0].State.ExitCode, 0)
	s.podman("rm", "pause")
}
