package flagtext_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/flagtext"
)

func TestPrint(t *testing.T) {
	flags := flag.NewFlagSet("ls", flag.ContinueOnError)
	flags.String("o", "text", "`format`: text or json")
	flags.Bool("force", false, "do it")
	var out strings.Builder
	flags.VisitAll(func(f *flag.Flag) { flagtext.Print(&out, f) })
	const want = "  --force\n    \tdo it\n  -o format\n    \tformat: text or json (default \"text\")\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	for given, want := range map[string]string{"o": "-o", "output": "--output", "-output": "--output", "--o": "-o"} {
		if got := flagtext.Dashed(given); got != want {
			t.Errorf("Dashed(%q) = %q, want %q", given, got, want)
		}
	}
}
