package netconfig_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/netconfig"
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, one := range all {
		out = append(out, netip.MustParsePrefix(one))
	}
	return out
}

// full is a bridge with something of everything.
func full() *netconfig.Bridge {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return &netconfig.Bridge{
		Name: "br0", Port: "eth0", MAC: "52:54:00:00:53:10", MTU: 9000,
		Addresses: prefixes("192.0.2.10/24", "10.5.0.1/24", "2001:db8::10/64", "2001:db8:5::1/64"),
		Routes: []netconfig.Route{
			{To: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1"), Source: addr("192.0.2.10"), Metric: 100, Table: 254, MTU: 1400},
			{To: prefix("10.6.0.0/16"), Gateway: addr("10.9.9.9"), OnLink: true, Table: 77},
			{To: prefix("10.7.0.0/16"), Table: 254},
			{To: prefix("10.8.0.0/16"), Table: 254, Multiple: true},
			{To: prefix("::/0"), Gateway: addr("2001:db8::1"), Metric: 512, Table: 254},
		},
		DNS: []netip.Addr{addr("192.0.2.53"), addr("2001:db8::53")}, Search: []string{"example.org"},
	}
}

// automatic is a bridge that a DHCP server and routers configure.
func automatic() *netconfig.Bridge {
	return &netconfig.Bridge{
		Name: "br0", Port: "eth0", MAC: "52:54:00:00:53:10", MTU: 1500, DHCP4: true, AcceptRA: true,
		DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	}
}

// TestFiles compares the files with testdata, which PATCHBAY_UPDATE=1 writes. ifupdown 0.8.41, netplan 0.106 and nmcli 1.42.4 have read those.
//
// Claim: `bridge create --persist` has the files of systemd-networkd, NetworkManager, netplan and ifupdown
func TestFiles(t *testing.T) {
	for name, b := range map[string]*netconfig.Bridge{"full": full(), "automatic": automatic()} {
		for _, program := range netconfig.Programs() {
			t.Run(program+"/"+name, func(t *testing.T) {
				files, notes, err := netconfig.Files(program, b)
				if err != nil {
					t.Fatal(err)
				}
				var all strings.Builder
				for _, f := range files {
					all.WriteString("==> " + f.Path + "\n" + f.Content)
				}
				for _, note := range notes {
					if !strings.Contains(note, " as well: ") { // of a file of this machine
						all.WriteString("note: " + note + "\n")
					}
				}
				golden := filepath.Join("testdata", program+"-"+name+".txt")
				if os.Getenv("PATCHBAY_UPDATE") != "" {
					if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if diff := cmp.Diff(string(want), all.String()); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

func TestFilesRefused(t *testing.T) {
	if _, _, err := netconfig.Files("wicked", full()); !errors.Is(err, netconfig.ErrUnknown) || !strings.Contains(err.Error(), "networkd, NetworkManager, netplan, ifupdown") {
		t.Error(err)
	}
	b := full()
	b.Port = "eth0\nup rm"
	if files, _, err := netconfig.Files(netconfig.Ifupdown, b); err == nil {
		t.Errorf("an injected line: %v", files)
	}
}

// TestWrite: new files only, all of them or none.
//
// Claim: `bridge create --persist PROGRAM --write` creates files and replaces none
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	files := []netconfig.File{{Path: filepath.Join(dir, "a"), Mode: 0o600, Content: "1\n"}, {Path: filepath.Join(dir, "b"), Mode: 0o644, Content: "2\n"}}
	if err := os.WriteFile(files[1].Path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := netconfig.Write(files); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file exists: %v", err)
	}
	if _, err := os.Lstat(files[0].Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other file was left: %v", err)
	}
	if old, err := os.ReadFile(files[1].Path); string(old) != "old" {
		t.Errorf("it was replaced: %q, %v", old, err)
	}
	if err := os.Remove(files[1].Path); err != nil {
		t.Fatal(err)
	}
	if err := netconfig.Write(files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f.Path)
		info, failed := os.Stat(f.Path)
		if err != nil || failed != nil || string(content) != f.Content || uint32(info.Mode().Perm()) != f.Mode {
			t.Errorf("%s: %q, %v, %v, %v", f.Path, content, info, err, failed)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left: %v, %v", entries, err)
	}
	missing := []netconfig.File{{Path: filepath.Join(dir, "no", "a"), Mode: 0o600}}
	if err := netconfig.Write(missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "is that the program that configures this host?") {
		t.Errorf("no directory: %v", err)
	}
}
