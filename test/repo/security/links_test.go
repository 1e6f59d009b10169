package security

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// place is a path of the state where an attacker with earlier write access may have put another file.
type place struct {
	path   string
	kinds  []kind
	passes bool // an ADD succeeds in spite of it, instead of reporting it
	shared bool // it exists only if ipam.dataDir is outside the state directory
}

// kind is the kind of file, created by put, and its description in errors.
type kind struct {
	name, words string
	put         func(outside, path string) error
}

const (
	symlink    = "a symbolic link"
	sharedData = "/var/lib/cni/networks"
)

// kinds returns the kinds of files; every link leads to a target outside the state directory that must not change.
func linkTo(target string) kind {
	return kind{"link to " + target, symlink, func(outside, path string) error { return os.Symlink(filepath.Join(outside, target), path) }}
}

func hardLink() kind {
	return kind{"hard link", "a second name of another file (hard link)", func(outside, path string) error {
		return os.Link(filepath.Join(outside, "victim"), path)
	}}
}

func pipe() kind {
	return kind{"pipe", "a named pipe", func(_, path string) error { return unix.Mkfifo(path, 0o600) }}
}

func directory() kind {
	return kind{"directory", "a directory", func(_, path string) error { return os.Mkdir(path, 0o700) }}
}

// places returns all files and directories that ADD writes.
func places() []place {
	forDirs := []kind{linkTo("dir"), linkTo("none"), linkTo("victim")}
	forFiles := []kind{linkTo("victim"), linkTo("empty"), linkTo("none"), linkTo("dir")}
	written := append([]kind{hardLink(), pipe(), directory()}, forFiles...)
	locked := append([]kind{pipe(), directory()}, forFiles...)
	const sticky = "/var/lib/patchbay/sticky/net/"
	return []place{
		{path: "/run/patchbay/net", kinds: forDirs},
		{path: "/run/patchbay/ipam", kinds: forDirs},
		{path: "/run/patchbay/ipam/net", kinds: forDirs},
		{path: "/var/lib/patchbay/sticky", kinds: forDirs},
		{path: "/var/lib/patchbay/sticky/net", kinds: forDirs},
		{path: "/run/patchbay/net/web@eth0.json", kinds: locked},
		{path: "/run/patchbay/net/web@eth0.json.tmp", kinds: written},
		{path: "/run/patchbay/ipam/net/lock", kinds: locked},
		{path: "/run/patchbay/ipam/net/last_reserved_ip.0", kinds: written},
		{path: "/run/patchbay/ipam/net/10.1.2.2", kinds: append([]kind{pipe()}, forFiles...), passes: true},
		{path: sticky + "ip-10.1.2.2", kinds: append([]kind{pipe()}, forFiles...), passes: true},
		{path: sticky + "owner-web@eth0", kinds: append([]kind{pipe()}, forFiles...), passes: true},
		{path: sticky + "ip-10.1.2.2.tmp", kinds: written},
		{path: sticky + "owner-web@eth0.tmp", kinds: written},
		{path: "/run/patchbay/.life", kinds: locked, passes: true, shared: true},
		{path: sharedData + "/net", kinds: forDirs, shared: true},
		{path: sharedData + "/net/.patchbay", kinds: forDirs, shared: true},
		{path: sharedData + "/net/.patchbay/10.1.2.2", kinds: locked, passes: true, shared: true},
	}
}

// TestLinksAreRefused: no verb writes, truncates or removes anything outside of Patchbay's directories. An ADD that would have to fails and names the
// file; DEL and GC succeed.
//
// Claim: Symbolic links, hard links and pipes in place of state are refused with a message and never followed; DEL and GC succeed
func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(strings.TrimPrefix(strings.ReplaceAll(p.path, "/", "|"), "|"), func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a := on(t, h, h.Container("web"), p.network())
			a.call.Plugin = wrapped(t, h, "exec timeout 60") // a pipe must not make a verb wait
			trap := &trap{Node: h, place: p, outside: "/run/outside"}
			if strings.HasPrefix(p.path, "/var/lib/") {
				trap.outside = "/var/lib/outside"
			}
			for _, k := range p.kinds {
				trap.beforeAdd(t, a, k)
				trap.afterAdd(t, a, k, "DEL")
				trap.afterAdd(t, a, k, "GC")
			}
			trap.begin(t) // removes the previous trap
		})
	}
}

func (p place) network() cni.Conf {
	if !p.shared {
		return network()
	}
	return network(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "sticky": true, "subnet": "10.1.2.0/24", "dataDir": sharedData}})
}

// trap is one place on one host, and the files outside that links lead to.
type trap struct {
	*nettest.Node
	place   place
	outside string
	first   map[string]string // the files outside, before
}

// begin recreates the files outside and removes the state of the previous round.
func (p *trap) begin(t *testing.T) {
	t.Helper()
	p.Do(func() {
		for _, dir := range []string{"/run/patchbay", "/var/lib/patchbay", sharedData, p.outside} {
			must(t, os.RemoveAll(dir))
		}
		// The directory has all names that a verb looks for, as if they belonged to this attachment.
		for _, dir := range []string{"dir", "dir/net"} {
			must(t, os.MkdirAll(filepath.Join(p.outside, dir), 0o755))
			for _, name := range []string{"web@eth0.json", "web@eth0.json.tmp", "10.1.2.2", "lock", "last_reserved_ip.0", "ip-10.1.2.2", "owner-web@eth0"} {
				must(t, os.WriteFile(filepath.Join(p.outside, dir, name), []byte("web\r\neth0"), 0o644))
			}
		}
		must(t, os.WriteFile(filepath.Join(p.outside, "victim"), []byte("web\r\neth0"), 0o644))
		must(t, os.WriteFile(filepath.Join(p.outside, "empty"), nil, 0o644))
	})
}

// set puts the trap in place of an existing file.
func (p *trap) set(t *testing.T, k kind) {
	t.Helper()
	p.Do(func() {
		must(t, os.RemoveAll(p.place.path))
		must(t, os.MkdirAll(filepath.Dir(p.place.path), 0o700))
		must(t, k.put(p.outside, p.place.path))
	})
	p.first = tree(t, p.Node, p.outside, everything)
}

// harmless checks that the files outside are unchanged.
func (p *trap) harmless(t *testing.T, when string) {
	t.Helper()
	expect.Equal(t, when+": outside", tree(t, p.Node, p.outside, everything), p.first)
}

// beforeAdd sets the trap before the first ADD.
func (p *trap) beforeAdd(t *testing.T, a *attachment, k kind) {
	t.Helper()
	when := k.name + ", then ADD"
	p.begin(t)
	p.set(t, k)
	answer := a.run(t, "ADD")
	if p.place.passes {
		answer.OK(t)
	} else {
		p.refused(t, answer, k.words)
		p.empty(t, when)
	}
	p.harmless(t, when)
	a.run(t, "DEL").OK(t)
	p.harmless(t, when+", DEL")
	p.empty(t, when+", DEL")
	a.run(t, "GC").OK(t)
	p.harmless(t, when+", DEL, GC")
}

// refused checks that an ADD fails with an error that names the file and the remedy.
func (p *trap) refused(t *testing.T, answer nettest.Answer, words string) {
	t.Helper()
	const ioFailure = 5
	e := answer.Error(t)
	if e.Code != ioFailure {
		t.Errorf("code %d, want %d: %v", e.Code, ioFailure, e)
	}
	expect.Contains(t, e.Msg, p.place.path+": file not created by Patchbay: "+words)
	expect.Contains(t, e.Details, "remove it; only stateDir, ipam.dataDir and /var/lib/patchbay themselves may be symbolic links")
}

// afterAdd sets the trap before DEL or GC.
func (p *trap) afterAdd(t *testing.T, a *attachment, k kind, verb string) {
	t.Helper()
	when := "ADD, " + k.name + ", then " + verb
	p.begin(t)
	a.run(t, "ADD").OK(t)
	p.set(t, k)
	a.run(t, "CHECK") // its answer does not matter
	p.harmless(t, when+", CHECK")
	a.run(t, verb).OK(t)
	p.harmless(t, when)
	a.run(t, "DEL").OK(t)
	p.harmless(t, when+", DEL")
	p.empty(t, when+", DEL")
}

// empty checks that nothing of the attachment is left except what the trap prevents from being removed.
func (p *trap) empty(t *testing.T, when string) {
	t.Helper()
	for _, root := range []string{"/run/patchbay", sharedData} {
		for path := range tree(t, p.Node, root, func(string, fs.FileInfo) string { return "" }) {
			name := filepath.Base(path)
			if path != p.place.path && (strings.Contains(name, "@") || strings.HasPrefix(name, "10.")) {
				t.Errorf("%s: %s is left", when, path)
			}
		}
	}
	for _, line := range strings.Split(p.Run(t, "ip", "-o", "link"), "\n") {
		if strings.Contains(line, "patchbay:") && !strings.Contains(line, "patchbay:bridge") {
			t.Errorf("%s: %s is left", when, line)
		}
	}
}

// TestConfiguredDirectoriesMayBeLinks: an administrator may have put state elsewhere.
//
// Claim: Symbolic links, hard links and pipes in place of state are refused with a message and never followed; DEL and GC succeed
func TestConfiguredDirectoriesMayBeLinks(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Do(func() {
		for _, name := range []string{"state", "data", "lib"} {
			must(t, os.MkdirAll("/run/elsewhere/"+name, 0o700))
			must(t, os.Symlink("/run/elsewhere/"+name, "/run/"+name))
		}
		must(t, os.Symlink("/run/elsewhere/lib", "/var/lib/patchbay"))
	})
	a := on(t, h, h.Container("web"), network(cni.Conf{
		"stateDir": "/run/state",
		"ipam":     cni.Conf{"type": "patchbay", "sticky": true, "subnet": "10.1.2.0/24", "dataDir": "/run/data/deep"},
	}))
	for _, verb := range []string{"STATUS", "ADD", "CHECK"} {
		a.run(t, verb).OK(t)
	}
	found := tree(t, h, "/run/elsewhere", modeAndOwner)
	for _, path := range []string{"state/net/web@eth0.json", "data/deep/net/10.1.2.2", "lib/sticky/net/owner-web@eth0"} {
		if found["/run/elsewhere/"+path] != secretFile {
			t.Errorf("%s: %q", path, found[path])
		}
	}
	a.run(t, "DEL").OK(t)
	if _, left := tree(t, h, "/run/elsewhere", modeAndOwner)["/run/elsewhere/state/net/web@eth0.json"]; left {
		t.Error("DEL left the record")
	}
	h.Do(func() { must(t, os.Remove("/var/lib/patchbay")) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
