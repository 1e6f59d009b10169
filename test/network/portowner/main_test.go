package portowner

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests in parallel than there are CPUs, unless -parallel is given: they mostly wait for the kernel to delete links and
// namespaces.
func TestMain(m *testing.M) { expect.Main(m, 4) }
