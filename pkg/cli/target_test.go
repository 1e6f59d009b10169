package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
func TestLXCContainers(t *testing.T) {
	proc := t.TempDir()
	const init = "Name:\tsystemd\nNSpid:\t%\t1\nThreads:\t1\n"
	process(t, proc, "100", "0::/lxc.monitor.web\n", "NSpid:\t100\n")
	process(t, proc, "101", "0::/lxc.payload.web/init.scope\n", strings.ReplaceAll(init, "%", "101"))
	process(t, proc, "102", "0::/lxc.payload.web/system.slice/nginx.service\n", "NSpid:\t102\t57\n")
	process(t, proc, "103", "0::/lxc.payload.web/docker/abc\n", "NSpid:\t103\t60\t1\n")
	process(t, proc, "200", "12:cpu,cpuacct:/lxc/old\n0::/\n", strings.ReplaceAll(init, "%", "200"))
	process(t, proc, "300", "0::/user.slice\n", "NSpid:\t300\n")
	process(t, proc, "400", "0::/lxc.payload.200\n", strings.ReplaceAll(init, "%", "400"))
	f := Targets{Proc: proc}
	if diff := cmp.Diff(map[string]string{"web": "101", "old": "200", "200": "400"}, f.lxc()); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	for word, want := range map[string]string{"web": "101", "lxc:old": "200", "lxc:200": "400", "pid:200": "200", "102": "102"} {
		target, err := f.Find(word)
		if err != nil || target.Path != filepath.Join(proc, want, "ns", "net") {
			t.Errorf("%s is %+v, %v; want that of process %s", word, target, err, want)
		}
	}
	_, err := f.Find("200")
	if !errors.Is(err, ErrAmbiguous) || err.Error() != "200 can mean lxc:200 or pid:200: say which" {
		t.Errorf("200: %v", err)
	}
	_, err = f.Find("lxc:wbe")
	if !errors.Is(err, ErrNoTarget) || !strings.HasSuffix(err.Error(), "LXC container wbe; did you mean web?") {
		t.Errorf("lxc:wbe: %v", err)
	}
}
