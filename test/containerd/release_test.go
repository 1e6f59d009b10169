package containerd

import (
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// release is a containerd: where its programs are, and its configuration.
type release struct {
	programs string // directory of containerd, ctr and the shim
	config   string
}

// debian is the distribution's containerd: 1.6 in Debian 12.
func debian(t testing.TB) release {
	t.Helper()
	return release{programs: unpacked(t, "usr/bin"), config: `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + image + `"
  restrict_oom_score_adj = true
  disable_apparmor = true
`}
}

// current is the containerd 2 of scripts/containerd. It asks for STATUS each time a kubelet asks how the node is.
func current(t testing.TB) release {
	t.Helper()
	program := nettest.Program(t, "../pkg/containerd2/containerd")
	return release{programs: filepath.Dir(program), config: `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "` + image + `"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
`}
}

// releases are all that are tested, by what their tests are called.
func releases() map[string]func(testing.TB) release {
	return map[string]func(testing.TB) release{"containerd of Debian": debian, "containerd 2": current}
}
