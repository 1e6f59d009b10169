package nettest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// machineEtc returns what a test could change of the machine's /etc.
func machineEtc(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "ls -lA --full-time /etc; cat /etc/hosts /etc/resolv.conf; ls -lAR --full-time /etc/netns 2>&1; grep ' /etc' /proc/self/mountinfo; true").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestMachineEtcStays: what a host writes, deletes and replaces in /etc is the host's own.
//
// Claim: A test changes nothing in the machine's /etc: each host has a copy of its own
func TestMachineEtcStays(t *testing.T) {
	before := machineEtc(t)
	h := Host(t)
	const change = `mkdir -p /etc/netns/web && echo 10.0.0.1 web >/etc/netns/web/hosts
		echo 10.0.0.1 web >>/etc/hosts; echo nameserver 10.0.0.1 >/etc/resolv.conf; rm /etc/passwd; echo x >/etc/nettest-new; mkdir -p /etc/cni/net.d`
	h.Run(t, "sh", "-ec", change)
	if got := h.Run(t, "sh", "-c", "cat /etc/hosts /etc/nettest-new; test -e /etc/passwd || echo deleted"); got != hostsText+"10.0.0.1 web\nx\ndeleted\n" {
		t.Errorf("the host does not see its own changes: %q", got)
	}
	if diff := cmp.Diff(before, machineEtc(t)); diff != "" {
		t.Errorf("/etc of the machine changed (-want +got):\n%s", diff)
	}
	h.Baseline()
}

// TestEtcOfMachineWithNamespaces: the files of the machine's named namespaces, and its networks, are not in a host's /etc.
//
// Claim: A test changes nothing in the machine's /etc: each host has a copy of its own
func TestEtcOfMachineWithNamespaces(t *testing.T) {
	Root(t)
	th, err := startThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return err
		}
		return errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), mountTmpfs(etcDir), os.MkdirAll("/etc/netns/web", 0o755), os.MkdirAll("/etc/cni/net.d", 0o755))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer th.stop()
	th.do(func() {
		if err := ownEtc(); err != nil {
			t.Error(err)
		}
		for _, dir := range notCopied() {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the host has %s: %v", dir, err)
			}
		}
		if err := unix.Unmount(etcDir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		for _, dir := range notCopied() {
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("the machine has lost %s: %v", dir, err)
			}
		}
	})
}

// TestEtcWithoutOverlay: where the kernel has no overlayfs, a host has a tmpfs with the machine's entries.
//
// Claim: A test changes nothing in the machine's /etc: each host has a copy of its own
func TestEtcWithoutOverlay(t *testing.T) {
	Root(t)
	before := machineEtc(t)
	th, err := startThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return err
		}
		return errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), bindEtc())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer th.stop()
	th.do(func() {
		for _, err := range []error{
			os.MkdirAll("/etc/netns/web", 0o755), replaceFile("/etc/hosts", hostsText), os.Remove("/etc/passwd"),
			os.WriteFile("/etc/nettest-new", nil, 0o644), os.MkdirAll("/etc/cni/net.d", 0o755),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile("/etc/ssl/nettest-new", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("a directory of the machine can be written to: %v", err)
		}
		if text, err := os.ReadFile("/etc/nsswitch.conf"); err != nil || !strings.Contains(string(text), "hosts:") {
			t.Errorf("a file of the machine is missing: %q, %v", text, err)
		}
	})
	if diff := cmp.Diff(before, machineEtc(t)); diff != "" {
		t.Errorf("/etc of the machine changed (-want +got):\n%s", diff)
	}
}
