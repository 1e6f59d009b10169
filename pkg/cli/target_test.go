package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/lxc"
)

// process puts files of a process where /proc would have them.
func process(t *testing.T, proc, pid, cgroup, status string) {
	t.Helper()
	dir := filepath.Join(proc, pid)
	for name, text := range map[string]string{"cgroup": cgroup, "status": status, "ns/net": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLXCContainers are found by their cgroups, by whichever of them the init is.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestLXCContainers(t *testing.T) {
	proc := t.TempDir()
	const init = "Name:\tsystemd\nNSpid:\t%\t1\nThreads:\t1\n"
	process(t, proc, "100", "0::/lxc.monitor.web\n", "NSpid:\t100\n")
	process(t, proc, "101", "0::/lxc.payload.web/init.scope\n", strings.ReplaceAll(init, "%", "101"))
	process(t, proc, "102", "0::/lxc.payload.web/system.slice/nginx.service\n", "NSpid:\t102\t57\n")
	process(t, proc, "103", "0::/lxc.payload.web/docker/abc\n", "NSpid:\t103\t60\t1\n")
	process(t, proc, "200", "12:cpu,cpuacct:/lxc/old\n0::/\n", strings.ReplaceAll(init, "%", "200"))
	process(t, proc, "201", "0::/user.slice/user-1000.slice/lxc.payload.web\n", strings.ReplaceAll(init, "%", "201"))
	process(t, proc, "202", "5:cpu:/user.slice/lxc/web\n0::/docker/lxc.payload.old\n", strings.ReplaceAll(init, "%", "202"))
	process(t, proc, "203", "0::/lxc.payloads.web\n", strings.ReplaceAll(init, "%", "203"))
	process(t, proc, "300", "0::/user.slice\n", "NSpid:\t300\n")
	process(t, proc, "400", "0::/lxc.payload.200\n", strings.ReplaceAll(init, "%", "400"))
	f := Targets{Proc: proc}
	if diff := cmp.Diff(map[string][]string{"web": {"101"}, "old": {"200"}, "200": {"400"}}, lxc.Running(proc)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	for word, want := range map[string]string{"web": "101", "lxc:old": "200", "lxc:200": "400", "pid:200": "200", "102": "102"} {
		target, err := f.Find(word)
		if err != nil || target.Path != filepath.Join(proc, want, "ns", "net") {
			t.Errorf("%s is %+v, %v; want that of process %s", word, target, err, want)
		}
	}
	_, err := f.Find("200")
	if !errors.Is(err, ErrAmbiguous) || err.Error() != "ambiguous name 200: use lxc:200 or pid:200" {
		t.Errorf("200: %v", err)
	}
	_, err = f.Find("lxc:wbe")
	if !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "LXC container wbe not found; did you mean web?") {
		t.Errorf("lxc:wbe: %v", err)
	}
}

// TestLXCContainersTwice: of two containers of one name, in different hierarchies, none is taken.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestLXCContainersTwice(t *testing.T) {
	proc := t.TempDir()
	const init = "NSpid:\t%\t1\n"
	process(t, proc, "1", "5:cpu:/\n0::/machine/init.scope\n", "NSpid:\t1\n")
	process(t, proc, "101", "5:cpu:/\n0::/machine/lxc.payload.web\n", strings.ReplaceAll(init, "%", "101"))
	process(t, proc, "202", "5:cpu:/lxc/web\n0::/machine\n", strings.ReplaceAll(init, "%", "202"))
	process(t, proc, "303", "5:cpu:/\n0::/lxc.payload.web\n", strings.ReplaceAll(init, "%", "303"))
	f := Targets{Proc: proc}
	for _, word := range []string{"web", "lxc:web"} {
		target, err := f.Find(word)
		if want := "ambiguous name " + word + ": use pid:101 (LXC container web) or pid:202 (LXC container web)"; !errors.Is(err, ErrAmbiguous) || err.Error() != want {
			t.Errorf("%s: %+v, %v; want %s", word, target, err, want)
		}
	}
}
