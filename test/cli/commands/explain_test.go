package commands

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestExplain prints networks and attachments, and changes nothing.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestExplain(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	before := l.Run(t, "find", "/run", "/var/lib", "-printf", "%p %i %s\n") + l.Run(t, "ip", "-o", "link")
	text := l.ok(t, "explain")
	expect.Contains(t, text, "# what ADD would make: eth0 of container c1, network patchbay, namespace c1\n", "\nip netns add c1\n", " master patchbay0 up type veth peer name eth0 ", "\nnft -f - <<'END'\n", "\nip -n c1 route add default via 10.77.0.1 dev eth0\n")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# ") && len(line) > 160 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	var object struct {
		Network, ContainerID, IfName, Netns string
		Exists                              bool
		Addresses, Unprinted                []string
		Steps                               []struct {
			Step     string
			Commands []struct {
				Why, Stdin string
				Argv       []string
			}
		}
	}
	if err := json.Unmarshal([]byte(l.ok(t, "explain", "patchbay", "--netns", "web", "--ip", "10.77.0.9", "-o", "json")), &object); err != nil {
		t.Fatal(err)
	}
	steps := ""
	for _, s := range object.Steps {
		steps += s.Step + " "
	}
	expect.Equal(t, "steps", steps, "namespace plug publish up ")
	expect.Equal(t, "object", fmt.Sprintln(object.Network, object.ContainerID, object.IfName, object.Netns, object.Exists, object.Addresses, object.Unprinted), "patchbay web eth0 web false [10.77.0.9/24] []\n")
	expect.Equal(t, "the host", l.Run(t, "find", "/run", "/var/lib", "-printf", "%p %i %s\n")+l.Run(t, "ip", "-o", "link"), before)

	l.ok(t, "up", "web")
	expect.Contains(t, l.ok(t, "explain", "web"), "# what makes the state of an attachment that exists: eth0 of container web, network patchbay, namespace web\n", "\nip -n web link set dev lo up\n")
	expect.Contains(t, l.ok(t, "explain", l.list(t)[0].HostLink, "-o", "sh"), "#!/bin/sh\n", "\nset -eu\n")
	text = l.ok(t, "explain", "--netns", "db")
	if strings.Contains(text, "type bridge\n") || strings.Contains(text, "chain schema_") || !strings.Contains(text, "10.77.0.3/24") {
		t.Errorf("what the host has is made again, or the address is not the next one:\n%s", text)
	}
	l.ok(t, "down", "web")
}

// TestExplainDraw: pictures fit the width, have ASCII alone where the locale is not UTF-8, and are comments in a script.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestExplainDraw(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pictures := func(text string) (lines []string) {
		for line := range strings.Lines(text) {
			if strings.ContainsAny(line, "│┌└") {
				lines = append(lines, strings.TrimRight(line, "\n"))
			}
		}
		return lines
	}
	for _, width := range []string{"30", "40", "72", "200"} {
		lines := pictures(l.ok(t, "explain", "--draw", "--width", width))
		most, err := strconv.Atoi(width)
		if err != nil || len(lines) < 20 {
			t.Fatalf("%d lines of pictures, %v", len(lines), err)
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > most {
				t.Errorf("%s columns: %s", width, line)
			}
		}
	}
	for _, line := range pictures(l.ok(t, "explain", "--draw", "-o", "sh")) {
		if !strings.HasPrefix(line, "# ") {
			t.Errorf("no comment: %s", line)
		}
	}
	cmd := l.command(t, "explain", "--draw")
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	a := finish(t, cmd)
	if a.exit != 0 || strings.ContainsFunc(a.stdout, func(r rune) bool { return r > unicode.MaxASCII }) || !strings.Contains(a.stdout, "+- host ") {
		t.Errorf("without UTF-8: exit %d\n%s%s", a.exit, a.stdout, a.stderr)
	}
}

// TestExplainRefuses: each mistake is an error that names it, in every format.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestExplainRefuses(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "lab", "br7", map[string]string{"subnet": "10.7.0.0/24"})
	file := filepath.Join(l.conf, "lab.conflist")
	other := filepath.Join(t.TempDir(), "other.conflist")
	write(t, other, `{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"macvlan","master":"eth0"}]}`)
	broken := filepath.Join(t.TempDir(), "broken.conflist")
	write(t, broken, `{"name": `)
	l.ok(t, "up", "web")
	l.ok(t, "up", "lab", "--network", "lab")
	l.ok(t, "attach", "web", "--network", "lab", "--interface", "net1")
	for _, format := range []string{"text", "sh", "json"} {
		for _, tt := range []struct {
			args  []string
			parts []string
		}{
			{[]string{"lba"}, []string{`no attachment "lba", and no network or bridge "lba"; networks: lab, patchbay (built in); did you mean lab?`}},
			{[]string{"wbe"}, []string{`no attachment "wbe"`, "did you mean web?"}},
			{[]string{"lab"}, []string{"lab is a network and an attachment: pass --conf", "host interface", "(veth"}},
			{[]string{"lab", "--conf", file}, []string{"NETWORK (lab) and --conf (" + file + ") both name a network: pass one of them"}},
			{[]string{"web"}, []string{"attachment web has the interfaces eth0, net1: pass --interface with one of them"}},
			{[]string{"web", "--interface", "net2"}, []string{"attachment web has the interfaces eth0, net1"}},
			{[]string{"web", "--interface", "eth0", "--ip", "10.77.0.9"}, []string{"--ip is for a network, and web is an attachment"}},
			{[]string{"web", "lab"}, []string{"explain takes one NETWORK or NAME, got 2: web lab"}},
			{[]string{""}, []string{"the name of the network or attachment is empty"}},
			{[]string{"--conf", other}, []string{other, "no network of type patchbay: its main plugin is another one"}},
			{[]string{"--conf", broken}, []string{broken, "unexpected end of JSON input"}},
			{[]string{"--conf", "/nowhere"}, []string{"/nowhere", "no such file or directory"}},
			{[]string{"--conf", file, "--netns", "no/such"}, []string{"no/such"}},
			{[]string{"--conf", file, "--netns", "x y"}, []string{"x y"}},
			{[]string{"--conf", file, "--netns", "web", "--interface", "eth0"}, []string{"eth0", "name already in use"}},
			{[]string{"--conf", file, "--netns", "lab"}, []string{"already attached"}},
			{[]string{"--conf", file, "--interface", "a/b"}, []string{`--interface "a/b" cannot name an interface`}},
			{[]string{"--conf", file, "--ip", "192.0.2.77"}, []string{"192.0.2.77"}},
		} {
			l.refused(t, tt.parts, append([]string{"explain", "-o", format}, tt.args...)...)
		}
	}
	l.refused(t, []string{`--output: unknown format "yaml": use text, json or sh`}, "explain", "-o", "yaml")
	l.ok(t, "detach", "web", "--network", "lab", "--interface", "net1")
	l.ok(t, "down", "web", "lab")
}

// TestDryRunRefuses: what a dry run cannot print is refused, and so is what the command itself refuses.
//
// Claim: `up`, `attach` and `down` with `--dry-run` print commands that make what they make, and change nothing
func TestDryRunRefuses(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "ip", "netns", "add", "mine")
	for _, tt := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"up", "mine"}, []string{"network namespace mine already exists"}},
		{[]string{"up", "a", "--network", "nosuch"}, []string{`no network or bridge "nosuch"`}},
		{[]string{"attach", "nosuch"}, []string{"nosuch not found"}},
		{[]string{"down", "nosuch"}, []string{"network namespace nosuch not found"}},
		{[]string{"down", "mine"}, []string{"patchbay up did not create namespace mine"}},
	} {
		l.refused(t, tt.parts, append(tt.args, "--dry-run")...)
	}
	l.refused(t, []string{"--dry-run creates no namespace in which a program could run"}, "up", "a", "--dry-run", "--", "true")
	l.Run(t, "ip", "netns", "del", "mine")
}

// TestExplainHostileNames: a name that a program could take for its own syntax is refused.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestExplainHostileNames(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for _, name := range []string{`a"b`, "a$(id)", "a*", "a;b", "a=b", "-a", "a'b"} {
		for _, format := range []string{"text", "sh", "json"} {
			l.refused(t, []string{"cannot be printed as a script", "is no plain name"}, "explain", "-o", format, "--interface="+name)
		}
	}
	l.Run(t, "ip", "netns", "add", "a b")
	l.refused(t, []string{`"a b" is no plain name`}, "explain", "--netns", "a b")
	l.Run(t, "ip", "netns", "del", "a b")
}
