package reported

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
// Claim: State that a user other than root could write or replace (`stateDir`, `ipam.dataDir`, their parent directories, single files) is
// refused by ADD and STATUS with the same message; DEL, GC and reload work without it
// Claim: A forged record makes DEL and reload change no interface, port or element of another attachment
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestFilesAndTexts(t *testing.T) { runRows(t, files()) }

func files() []row {
	return slices.Concat(lxcFiles(), readFiles(), lxcNames(), fileTexts(), fileStates(), fileLengths())
}

// rootSecret is the text of a file that only root may read.
const rootSecret = "lxc.net.0.type = root-only-secret\n"

func lxcFiles() []row {
	const kind = "lxc enable and disable change only the container's own configuration"
	return []row{
		{"31", "the configuration is a link to a file of root", kind, lxcRefused("symbolic link", `user ln -s /run/secret "$config"`)},
		{"31.1", "it is a FIFO", kind, lxcRefused("not a regular file", `user mkfifo "$config"`)},
		{"31.2", "it is a link to /dev/zero", kind, lxcRefused("symbolic link", `user ln -s /dev/zero "$config"`)},
		{"31.3", "it is an endless device", kind, lxcRefused("not a regular file", `user touch "$config"; mount --bind /dev/zero "$config"`)},
		{"31.4", "it is a hard link to a file of root", kind, lxcRefused("owned by another user", `ln /run/secret "$config"`)},
		{"31.5", "it is a file of root that was moved there", kind, lxcRefused("owned by another user", `cp /run/secret "$config"`)},
		{"31.6", "the container's directory is a link to one of root", kind, lxcRefused("symbolic link", `rmdir "${config%/*}"; mkdir -m 700 /run/roots; mv /run/secret /run/roots/config; ln -s /run/roots/config /run/secret; user ln -s /run/roots "${config%/*}"`)},
		{"31.7", "it is a terabyte", kind, lxcRefused("file too large", `user truncate -s 1T "$config"`)},
		{"31.8", "the user swaps it during the edits", kind, lxcSwapped},
		{"31.9", "the user's own configuration is edited", kind, lxcOwn},
	}
}

// lxcHome returns a host with a user's directory of containers, and in it a container without configuration.
// /run/secret is root's.
func lxcHome(t *testing.T) *fileHost {
	t.Helper()
	h := newFileHost(t)
	h.network("net", routed())
	h.sh(`printf '%s' "$1" >/run/secret; chmod 600 /run/secret; mkdir /run/home; chown `+fileUser+` /run/home; user mkdir -p /run/home/lxc/web`, rootSecret)
	return h
}

const lxcConfig = "/run/home/lxc/web/config"

// lxcRefused requires that both commands refuse what the script puts in the place of the configuration, with this
// text, and leave it and root's file unchanged.
func lxcRefused(words, script string) func(t *testing.T) {
	return func(t *testing.T) {
		h := lxcHome(t)
		h.sh("config=" + lxcConfig + "\n" + script)
		before := h.sh("stat -c '%i %f %u %Y' /run/secret; cat /run/secret; cd /run/home/lxc; find . -printf '%p %l %i\\n' | sort")
		for _, command := range []string{"enable", "disable"} {
			args := []string{"lxc", command, "web", "--lxcpath", "/run/home/lxc"}
			if command == "enable" {
				args = append(args, "--network", "net", "--conf-dir", h.conf, "--force")
			}
			text := h.refuses([]string{words, "config"}, args...)
			if strings.Contains(text, "root-only") {
				t.Errorf("%s shows root's file: %s", command, text)
			}
		}
		if after := h.sh("stat -c '%i %f %u %Y' /run/secret; cat /run/secret; cd /run/home/lxc; find . -printf '%p %l %i\\n' | sort"); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
}

// lxcSwapped: while root enables and disables, the user repeatedly replaces the configuration with a link to root's
// file. Root's file is not changed, and its content is not printed.
func lxcSwapped(t *testing.T) {
	h := lxcHome(t)
	h.sh(`user sh -c 'echo "lxc.uts.name = web" >/run/home/lxc/web/config'`)
	swapper := h.Command("setpriv", "--reuid="+fileUser, "--regid="+fileUser, "--clear-groups", "sh", "-c", `cd /run/home/lxc/web && while :; do
		ln -sf /run/secret link && mv -f link config; echo "lxc.uts.name = web" >file && mv -f file config; done`)
	if err := swapper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = swapper.Process.Kill(); _ = swapper.Wait() }()
	for range 60 {
		for _, args := range [][]string{{"enable", "web", "--network", "net", "--conf-dir", h.conf, "--force"}, {"disable", "web"}} {
			a := h.patchbay(append([]string{"lxc", "--lxcpath", "/run/home/lxc"}, args...)...)
			if strings.Contains(printedBy(a), "root-only") {
				t.Fatalf("root's file is shown: %s", a)
			}
		}
	}
	h.has("/run/secret", rootSecret)
	if leaked := h.sh(`grep -rl root-only /run/home --exclude=config --exclude=link || true; stat -c %a /run/secret`); leaked != "600\n" {
		t.Errorf("the user has root's text: %s", leaked)
	}
}

// lxcOwn: a valid configuration can be edited, and keeps owner and mode.
func lxcOwn(t *testing.T) {
	h := lxcHome(t)
	h.sh(`user sh -c 'umask 002; echo "lxc.uts.name = web" >/run/home/lxc/web/config'`)
	h.ok("lxc", "enable", "web", "--lxcpath", "/run/home/lxc", "--network", "net", "--conf-dir", h.conf)
	if got := h.sh("stat -c '%a %u' " + lxcConfig + "; grep -c lxc-hook " + lxcConfig); got != "664 "+fileUser+"\n3\n" {
		t.Errorf("mode, owner and hooks: %q", got)
	}
	h.ok("lxc", "disable", "web", "--lxcpath", "/run/home/lxc")
	h.has(lxcConfig, "lxc.uts.name = web\n")
}

func readFiles() []row {
	const kind = "a path from a configuration is read only if it is a file of a sensible size"
	return []row{
		{"32", "resolvConf is a FIFO", kind, resolvConfRefused("not a regular file (FIFO)", "mkfifo /run/resolv.conf")},
		{"32.1", "resolvConf is a link to /dev/zero", kind, resolvConfRefused("not a regular file (character device)", "ln -s /dev/zero /run/resolv.conf")},
		{"32.2", "resolvConf is a terabyte", kind, resolvConfRefused("file too large", "truncate -s 1T /run/resolv.conf")},
		{"32.3", "resolvConf is a directory", kind, resolvConfRefused("not a regular file (directory)", "mkdir /run/resolv.conf")},
		{"32.4", "a network's file is a FIFO: the others are found", kind, confRefused("not a regular file", "mkfifo /run/net.d/bad.conflist")},
		{"32.5", "a network's file is a link to /dev/zero", kind, confRefused("not a regular file", "ln -s /dev/zero /run/net.d/bad.conf")},
		{"32.6", "a network's file is a terabyte", kind, confRefused("file too large", "truncate -s 1T /run/net.d/bad.json")},
		{"32.7", "the directory of networks is a FIFO", kind, func(t *testing.T) {
			h := newFileHost(t)
			h.sh("mkfifo /run/fifo")
			h.conf = "/run/fifo"
			h.refuses([]string{"not a directory", "/run/fifo"}, "up", "web", "--network", "net")
		}},
		{"32.8", "the log is a FIFO", kind, logRefused("not a regular file", "mkfifo /run/log")},
		{"32.9", "the log is in a directory of a user who makes it a link", kind, logRefused("symbolic link", "mkdir -m 700 /run/roots; mkdir /run/theirs; chown "+fileUser+" /run/theirs; user ln -s /run/roots /run/theirs/logs; ln -s /run/theirs/logs/log /run/log")},
		{"32.10", "machine-id is a FIFO", kind, func(t *testing.T) {
			h := newFileHost(t)
			h.sh("test -e /etc/machine-id && mkfifo /run/id && mount --bind /run/id /etc/machine-id")
			c := h.Container("web")
			h.cni(h.call("ADD", c, routed())).OK(t)
			h.cni(h.call("DEL", c, routed())).OK(t)
		}},
	}
}

func resolvConfRefused(words, script string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.sh(script)
		conf := routed(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "subnet": "10.1.0.0/24", "resolvConf": "/run/resolv.conf"}})
		c := h.Container("web")
		h.fails(c, conf, 5, "ipam.resolvConf", "/run/resolv.conf", words)
		status := conf.With(cni.Conf{"cniVersion": "1.1.0"})
		if a := h.cni(h.call("STATUS", c, status)); !strings.Contains(string(a.Stdout), words) {
			t.Errorf("STATUS: %s", a)
		}
		h.cni(h.call("DEL", c, conf)).OK(t)
	}
}

func confRefused(words, script string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.network("good", routed())
		h.sh(script)
		h.refuses([]string{words, "/run/net.d/bad."}, "up", "web", "--network", "nosuch")
		h.ok("up", "web", "--network", "good")
		h.ok("ls", "--network", "good")
		h.ok("down", "web")
	}
}

// logRefused: an unusable log is a line on stderr; the verb succeeds.
func logRefused(words, script string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.sh(script)
		c := h.Container("web")
		for _, verb := range []string{"ADD", "DEL"} {
			a := h.cni(h.call(verb, c, routed(cni.Conf{"logFile": "/run/log"})))
			a.OK(t)
			if !strings.Contains(string(a.Stderr), words) {
				t.Errorf("%s: %s", verb, a)
			}
		}
		if made := h.sh("ls /run/roots 2>/dev/null || true"); made != "" {
			t.Errorf("made in a directory of root: %s", made)
		}
	}
}

func lxcNames() []row {
	const kind = "attach NAME accepts a process as root's LXC container only in a cgroup that only root can write"
	return []row{
		{"33", "a user's process in lxc.payload.NAME beside root's container", kind, func(t *testing.T) {
			h := newFileHost(t)
			h.network("net", routed())
			theirs := h.payload("files33/lxc.payload.files33")
			ours := h.payload("lxc.payload.files33")
			h.ok("attach", "files33", "--network", "net")
			if got := h.sh("nsenter -t " + theirs + " -n ip -o link show eth0 2>/dev/null || echo none"); got != "none\n" {
				t.Errorf("the user's process has %s", got)
			}
			if got := h.sh("nsenter -t " + ours + " -n ip -o link show eth0"); !strings.Contains(got, "eth0") {
				t.Errorf("root's container has %s", got)
			}
			h.ok("detach", "files33")
		}},
		{"33.1", "a user's process alone", kind, lxcNotFound("user.files331/lxc.payload.files331", "files331")},
		{"33.2", "a process in a cgroup of docker, by the old name", kind, lxcNotFound("docker.files332/lxc/files332", "lxc:files332")},
		{"33.3", "two containers of one name", kind, func(t *testing.T) {
			h := newFileHost(t)
			h.network("net", routed())
			one, two := h.payload("lxc.payload.files333"), h.payload("lxc/files333")
			for _, word := range []string{"files333", "lxc:files333"} {
				h.refuses([]string{"ambiguous name", "pid:" + one, "pid:" + two}, "attach", word, "--network", "net")
			}
		}},
	}
}

func lxcNotFound(cgroup, word string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		h.network("net", routed())
		h.payload(cgroup)
		h.refuses([]string{"not found"}, "attach", word, "--network", "net")
	}
}
