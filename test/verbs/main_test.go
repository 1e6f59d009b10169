package verbs

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise: most
// of a test is waiting for the kernel to take links and namespaces down.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", "6") // a flag that testing always has
	}
	os.Exit(m.Run())
}
