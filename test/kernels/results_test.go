package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const beforeRun = `# Page
<!-- results:begin -->
| kernel | release | package | passed | failed | seconds |
|---|---|---|---|---|---|
| 6.12 | 6.12.1 | test/network/lan | 3 | 0 | 10 |
| 6.12 | 6.12.1 | test/network/nat | 40 | 1 | 58 |
| 6.12 |  | 2 packages | 43 | 1 | 68 |
<!-- results:end -->
`

const afterRun = `# Page
<!-- results:begin -->
| kernel | release | package | passed | failed | seconds |
|---|---|---|---|---|---|
| 6.12 | 6.12.1 | test/network/lan | 3 | 0 | 10 |
| 6.12 | 6.12.2 | test/network/nat | 1 | 0 | 3 |
| 6.12 |  | 2 packages | 4 | 0 | 13 |
| 6.12-arm64 | 6.12.2 | test/network/nat | 1 | 0 | 3 |
| 6.12-arm64 |  | 1 packages | 1 | 0 | 3 |
<!-- results:end -->
`

// TestTable: a run writes the rows of the packages that it ended, on the kernel of its name, and leaves all others; a package during which the machine
// ended has no row.
func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(beforeRun), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, kernel := range []string{"6.12", "6.12-arm64"} {
		ran := &tally{to: io.Discard}
		for _, pkg := range []string{"test/network/nat", "test/network/lan"} {
			fmt.Fprintf(ran, `{"Action":"pass","Package":%q,"Test":"TestOne","Elapsed":2}`+"\n"+`{"Action":"pass","Package":%q,"Elapsed":2.5}`+"\n", modulePath+pkg, modulePath+pkg)
		}
		ran.end("test/network/nat")
		if err := ran.writeTable(path, kernel, "6.12.2"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(afterRun, string(text)); diff != "" {
		t.Errorf("table (-want +got)\n%s", diff)
	}
}

// TestLacks: which modules the kernels without legacy and without x_tables lack.
func TestLacks(t *testing.T) {
	for module, want := range map[string][3]bool{
		"ip_tables":       {false, true, true},
		"ip6table_nat":    {false, true, true},
		"ebtables":        {false, true, true},
		"x_tables":        {false, false, true},
		"xt_conntrack":    {false, false, true},
		"nft_compat":      {false, false, true},
		"nf_tables":       {false, false, false},
		"nft_chain_nat":   {false, false, false},
		"br_netfilter":    {false, false, false},
		"nf_conntrack":    {false, false, false},
		"ip6_udp_tunnel":  {false, false, false},
		"nf_reject_ipv6":  {false, false, false},
		"nf_defrag_ipv4":  {false, false, false},
		"sch_tbf":         {false, false, false},
		"ip_set_hash_net": {false, false, false},
	} {
		var got [3]bool
		for i, name := range []string{"6.12-arm64", "6.12-nolegacy", "6.12-arm64-noxtables"} {
			got[i] = (&job{name: name}).lacks(module)
		}
		if got != want {
			t.Errorf("%s is left out of 6.12-arm64, 6.12-nolegacy, 6.12-arm64-noxtables: got %v, want %v", module, got, want)
		}
	}
}

// TestKinds: the name of a kernel has its architecture.
func TestKinds(t *testing.T) {
	for name, want := range map[string]string{"6.12": "amd64", "6.12-noxtables": "amd64", "6.12-arm64": "arm64", "6.1-arm64-nolegacy": "arm64"} {
		if got := (&job{name: name}).arch().name; got != want {
			t.Errorf("architecture of %s: got %s, want %s", name, got, want)
		}
	}
}
