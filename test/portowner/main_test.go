package portowner

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise: most
// of a test is waiting for the kernel to take links and namespaces down.
func TestMain(m *testing.M) { expect.Main(m, 4) }
