package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel is set: most of the time a test waits
// for the kernel to delete links and namespaces.
func TestMain(m *testing.M) { expect.Main(m, 6) }
