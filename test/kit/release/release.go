// Package release finds the release that scripts/test.sh builds for tests, as `make dist` does.
package release

import (
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Version is the version of the release.
const Version = "0.2.0"

// Image is the name that the image gets when a runtime imports it.
const Image = "ghcr.io/patchbay-cni/patchbay:" + Version

// AgentImage is the name of the image of patchbay-agent.
const AgentImage = "ghcr.io/patchbay-cni/patchbay-agent:" + Version

// Dir returns the directory that was built. Without it the test skips, or fails in CI.
func Dir(t testing.TB) string {
	t.Helper()
	return filepath.Dir(nettest.Program(t, "../release/patchbay-"+Version+"-linux-amd64"))
}

// Path returns the path of one file of it.
func Path(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(Dir(t), name)
}
