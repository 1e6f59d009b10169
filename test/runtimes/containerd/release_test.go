package containerd

import (
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// release is a version of containerd: where its programs are, and its configuration.
type release struct {
	programs string // directory of containerd, ctr and the shim
	config   string
}

// debian returns the distribution's containerd: 1.6 in Debian 12.
func debian(t testing.TB) release {
	t.Helper()
	return release{programs: unpacked(t, "usr/bin"), config: `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + webImage + `"
  restrict_oom_score_adj = true
  disable_apparmor = true
`}
}

// current returns the containerd 2 of scripts/containerd. It calls STATUS each time a kubelet asks for the state of
// the node.
func current(t testing.TB) release {
	t.Helper()
	program := nettest.Program(t, "../pkg/containerd2/containerd")
	return release{programs: filepath.Dir(program), config: `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "` + webImage + `"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
`}
}

// releases returns all versions that are tested, by the names of their tests.
func releases() map[string]func(testing.TB) release {
	return map[string]func(testing.TB) release{"containerd of Debian": debian, "containerd 2": current}
}
