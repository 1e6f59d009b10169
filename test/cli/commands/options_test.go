package commands

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestOptionsOfSecondWords: an option that another second word has is refused, above all --dry-run where something is deleted.
//
// Claim: A command of two words refuses the options of its other second words, and an option whose value is empty, and changes nothing
func TestOptionsOfSecondWords(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	expect.Equal(t, "exit of network create", l.run(t, "network", "create", "lab").exit, 0)
	l.refused(t, []string{"network rm does not take the option --dry-run; see patchbay help network"}, "network", "rm", "lab", "--dry-run")
	l.refused(t, []string{"network ls does not take the option --vlan"}, "network", "ls", "--vlan", "3")
	l.refused(t, []string{"network create does not take the option -o"}, "network", "create", "lab2", "-o", "json")
	l.refused(t, []string{"bridge delete does not take the option --dry-run"}, "bridge", "delete", "br0", "--dry-run")
	l.refused(t, []string{"bridge confirm does not take the option --write"}, "bridge", "confirm", "--write")
	l.refused(t, []string{"lxc disable does not take the option --force"}, "lxc", "disable", "c1", "--force")
	l.refused(t, []string{"--network: the value is empty; leave the option out for the default"}, "up", "web", "--network", "")
	l.refused(t, []string{"--ip: the value is empty"}, "up", "web", "--ip", "")
	l.refused(t, []string{"--network: the value is empty"}, "detach", "web", "--network=")
	l.refused(t, []string{`--timeout: invalid value "5": use a time with its unit, such as 30s`}, "bridge", "create", "br0", "--uplink", "eth0", "--timeout", "5")
	l.refused(t, []string{`--width: invalid value "abc": use a number`}, "show", "--width", "abc")
	files, err := filepath.Glob(filepath.Join(l.conf, "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("files after what was refused: %v, %v", files, err)
	}
	l.ok(t, "network", "rm", "lab")
}

// TestHelpWidth: help is read on terminals of 100 columns.
//
// Claim: Help has at most 104 columns
func TestHelpWidth(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	fits := func(t *testing.T, name, text string) {
		for line := range strings.Lines(strings.ReplaceAll(text, l.conf, "/etc/cni/net.d")) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 104 {
				t.Errorf("help %s has a line of %d columns: %s", name, n, line)
			}
		}
	}
	fits(t, "", l.ok(t, "help"))
	for line := range strings.Lines(l.ok(t, "help")) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "patchbay" || words[1] == "is" {
			continue
		}
		text := l.ok(t, "help", words[1])
		expect.Contains(t, text, "patchbay "+words[1])
		fits(t, words[1], text)
	}
}

// TestExplainNamelessNetns: a script for a namespace without a name would not run on another host.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestExplainNamelessNetns(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "sh", "-c", "ip netns add x && touch /run/elsewhere && mount --bind /run/netns/x /run/elsewhere && umount /run/netns/x && rm /run/netns/x")
	l.ok(t, "attach", "/run/elsewhere")
	expect.Contains(t, l.ok(t, "explain", "elsewhere"), "# not printed: the network namespace, which has no name: /run/elsewhere leads to it on this host alone")
	l.refused(t, []string{"cannot be printed as a script", "/run/elsewhere"}, "explain", "elsewhere", "-o", "sh")
	l.ok(t, "detach", "/run/elsewhere")
	l.Run(t, "sh", "-c", "umount /run/elsewhere && rm /run/elsewhere")
}
