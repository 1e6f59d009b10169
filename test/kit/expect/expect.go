// Package expect provides comparisons for tests of several packages. A comparison that fails reports an error and the
// test continues.
package expect

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Equal compares with go-cmp; what is the beginning of the message.
func Equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Contains requires each part in a text.
func Contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not contain %q", text, part)
		}
	}
}

// Rounds returns how often a test repeats something: as often as it says, or a tenth of that on the emulated CPU of test/kernels, on which a
// hundred take a quarter of an hour.
func Rounds(most int) int {
	if os.Getenv("PATCHBAY_EMULATED") != "" {
		return most / 10
	}
	return most
}

// Main is a TestMain that runs so many tests at once, unless -parallel says otherwise: most of a
// test is waiting for the kernel to take links and namespaces down.
func Main(m *testing.M, parallel int) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(parallel)) // a flag that testing always has
	}
	os.Exit(m.Run())
}
