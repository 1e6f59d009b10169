package commands

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestUpInterrupted: of many names those that have no line have no namespace either, also the one that is created ahead.
//
// Claim: An interrupted `up` of several names leaves the namespaces that it has printed, and no other
func TestUpInterrupted(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprint("web", i))
	}
	cmd := l.command(t, append([]string{"up"}, names...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	rows, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(rows)
	var printed []string
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), ":")
		if printed = append(printed, name); len(printed) == 1 {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	expect.Equal(t, "exit", exitOf(cmd), 1)
	expect.Contains(t, stderr.String(), "web199: not created: ")
	slices.Sort(printed)
	expect.Equal(t, "namespaces", l.pins(t), printed)
	if len(printed) == len(names) {
		t.Error("up created all names before it was interrupted")
	}
	l.ok(t, append([]string{"down"}, printed...)...)
}

// slowIPAM is an IPAM plugin that takes its time. The address is that of the letter in ASCII.
const slowIPAM = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
sleep 1.1
echo "{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"10.9.0.$(printf %d "'$CNI_CONTAINERID")/24\"}]}"
`

// TestProgress: with rows that go to a file the command does not look stuck.
//
// Claim: `up` of several names prints every two seconds how many are done, where only stderr is a terminal
func TestProgress(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("script"))
	l := newLaptop(t)
	plugins := t.TempDir()
	if err := nettest.WriteProgram(filepath.Join(plugins, "slow"), []byte(slowIPAM)); err != nil {
		t.Fatal(err)
	}
	conf := `{"cniVersion": "1.0.0", "name": "slow", "type": "patchbay", "bridge": "slow0", "ipam": {"type": "slow"}}`
	if err := os.WriteFile(filepath.Join(l.conf, "slow.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	const names = "a b c d"
	terminal := func(line string) string {
		cmd := l.Command("script", "-qec", nettest.Patchbay(t)+line, "/dev/null")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf, "CNI_PATH=" + plugins}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	up := func(redirect string) string {
		defer terminal(" down " + names)
		return terminal(" up --network slow " + names + redirect)
	}
	expect.Contains(t, terminal(""), "CNI patchbay plugin ", "Commands: patchbay help")
	if out := up(" >/dev/null"); !regexp.MustCompile("patchbay: [1-3] of 4 done").MatchString(out) {
		t.Errorf("no progress: %q", out)
	}
	if out := up(""); strings.Contains(out, " done") {
		t.Errorf("progress beside the rows: %q", out)
	}
}
