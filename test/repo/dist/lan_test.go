package dist

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// TestLANContents: the files of the .deb of patchbay-lan are those of testdata/files-lan.txt, which PATCHBAY_UPDATE=1 writes anew.
//
// Claim: The packages of patchbay-lan have the program, its unit and its snippet for systemd-tmpfiles, and nothing in /etc
func TestLANContents(t *testing.T) {
	_, sums := files(t, release.Dir(t))
	for arch := range arches() {
		content := contentOfDeb(t, debOf(t, "patchbay-lan", arch))
		var all strings.Builder
		for _, path := range slices.Sorted(maps.Keys(content)) {
			fmt.Fprintf(&all, "%s %s\n", path, withoutHash(content[path]))
		}
		listed(t, "files-lan.txt", all.String())
		sum, _, _ := strings.Cut(sums["patchbay-lan-0.2.0-linux-"+arch], " ")
		expect.Equal(t, "program", content["/usr/bin/patchbay-lan"], "-rwxr-xr-x root:root "+sum)
	}
}

// TestArchives: the one directory of each tar.gz has the program, its part of conf/, and the license of each module that the program is linked with.
//
// Claim: The tar.gz of a program has the program, its part of conf/ and the licenses of all modules that it is linked with
func TestArchives(t *testing.T) {
	for program, conf := range map[string]string{"patchbay": "systemd/patchbay-gc.timer", "patchbay-lan": "patchbay-lan/patchbay-lan@.service"} {
		for arch := range arches() {
			name := program + "-0.2.0-linux-" + arch
			content := archiveOf(t, release.Path(t, name+".tar.gz"))
			want, err := os.ReadFile(release.Path(t, name))
			check(t, err)
			if string(content[name+"/"+program]) != string(want) {
				t.Errorf("%s has another program than the release", name)
			}
			want, err = os.ReadFile(filepath.Join("../../../conf", conf))
			check(t, err)
			expect.Equal(t, conf, string(content[name+"/conf/"+conf]), string(want))
			var licensed []string
			for _, m := range regexp.MustCompile(`(?m)^==== (\S+ \S+): LICENSE`).FindAllSubmatch(content[name+"/LICENSES-of-modules"], -1) {
				licensed = append(licensed, string(m[1]))
			}
			slices.Sort(licensed)
			expect.Equal(t, "modules with a license in "+name, slices.Compact(licensed), modules(t, program, arch))
		}
	}
}

// archiveOf returns the files of a tar.gz, which are owned by root.
func archiveOf(t *testing.T, path string) map[string][]byte {
	t.Helper()
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	var unzipped io.Reader
	unzipped, err = gzip.NewReader(file)
	check(t, err)
	return untar(t, unzipped)
}

// instances are the units of patchbay-lan.
const instances = "patchbay-lan@*.service"

// instancesOf is what a package manager does with them: nothing is enabled or started. An upgrade runs a script of the older package too, before or after that of the newer.
func instancesOf(m manager) (stubs []string, upgraded, refused, removed []string) {
	const reload = "systemctl --system daemon-reload"
	if m.name == "rpm" {
		return []string{"systemctl"}, []string{reload, "systemctl try-restart " + instances, reload}, nil, []string{"systemctl stop " + instances, reload}
	}
	return []string{"systemctl", "deb-systemd-helper", "deb-systemd-invoke"}, []string{reload, reload, "deb-systemd-invoke try-restart " + instances}, []string{reload},
		[]string{"deb-systemd-invoke stop " + instances, reload}
}

// What the administrator has made for a network, and what the program has written.
const (
	lanEnvironment = "etc/patchbay/lan-net.env"
	lanConflist    = "etc/cni/net.d/net.patchbay-lan.conflist"
	lanLink        = "etc/systemd/system/multi-user.target.wants/patchbay-lan@net.service"
)

// TestLANWalk installs patchbay and patchbay-lan in a throw-away root, makes an attachment on a network of patchbay-lan, upgrades, tries to remove, ends the
// attachment, removes and purges.
//
// Claim: The packages of patchbay-lan enable and start no unit; an upgrade restarts the instances that run, removal stops them
// Claim: Removal of patchbay-lan is refused while attachments exist on its networks, with a name and the way
// Claim: Removal and purge of patchbay-lan leave no file but those that the administrator wrote, which are named
func TestLANWalk(t *testing.T) {
	for _, m := range managers("patchbay-lan") {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := newRoot(t)
			stubs, upgraded, refused, removed := instancesOf(m)
			r.withSystemd(stubs)
			r.write(lanEnvironment, "ETCDCTL_ENDPOINTS=192.0.2.1:2379\n")
			r.write("etc/cni/net.d/other.conflist", "")
			r.write(filepath.Join(filepath.Dir(lanLink), "other.service"), "")
			plugin, before := r.plugin(m)

			first, second := r.packagesOf(m)
			r.ok(m, append(m.install, first)...)
			expect.Equal(t, "calls of the installation", r.said(), []string{"systemctl --system daemon-reload"})
			expect.Contains(t, r.Run(t, "chroot", r.dir, "/usr/bin/patchbay-lan", "version"), "patchbay-lan 0.2.0 ")
			named, detach := r.attachOnLAN()
			r.ok(m, append(m.upgrade, second)...)
			expect.Equal(t, "calls of the upgrade", r.said(), upgraded)
			installed := r.files()
			if strings.HasSuffix(installed["/usr/bin/patchbay-lan"], "older") {
				t.Error("the program was not upgraded")
			}
			code, out := r.try(m, "A=", m.remove...)
			expect.Contains(t, out, "1 in all, such as "+named+";", "patchbay detach", "PATCHBAY_FORCE_REMOVE=1")
			if code == 0 {
				t.Errorf("removal is not refused:\n%s", out)
			}
			expect.Equal(t, "calls of a refused removal", r.said(), refused)
			expect.Equal(t, "files after refused removal", r.files(), installed)

			detach()
			r.lanRemoved(m, removed, before)
			r.ok(plugin, plugin.remove...)
			r.Run(t, "rm", "-r", "/run/systemd")
			r.SetSysctl("net/ipv4/ip_forward", "0")
		})
	}
}

// plugin installs the package of patchbay, and returns the files of then.
func (r *root) plugin(m manager) (plugin manager, files map[string]string) {
	r.t.Helper()
	plugin = managers("patchbay")[slices.Index([]string{"dpkg", "rpm"}, m.name)]
	_, path := r.packagesOf(plugin)
	r.ok(plugin, append(plugin.install, path)...)
	r.said()
	return plugin, r.files()
}

// attachOnLAN makes an attachment on a network that has what patchbay-lan and systemd write: a status, a network configuration, a link.
func (r *root) attachOnLAN() (name string, detach func()) {
	r.t.Helper()
	name, detach = r.attach()
	name = strings.TrimSuffix(name, "/eth0")
	r.Run(r.t, "sh", "-ec", "mkdir /run/patchbay/.lan && echo {} >/run/patchbay/.lan/net.json")
	r.write(lanConflist, "{}")
	check(r.t, os.Symlink("/usr/lib/systemd/system/patchbay-lan@.service", filepath.Join(r.dir, lanLink)))
	return name, detach
}

// lanRemoved removes and purges the package, and requires the files from before, and the one of the administrator.
func (r *root) lanRemoved(m manager, calls []string, before map[string]string) {
	r.t.Helper()
	out := r.ok(m, m.remove...)
	expect.Equal(r.t, "calls of the removal", r.said(), calls)
	expect.Equal(r.t, "status after removal", r.Run(r.t, "sh", "-c", "ls -d /run/patchbay/.lan 2>/dev/null || :"), "")
	if m.purge != nil {
		expect.Equal(r.t, "network after removal", r.files()["/"+lanConflist], "")
		expect.Equal(r.t, "link after removal", r.files()["/"+lanLink], "Lrwxrwxrwx")
		out = r.ok(m, m.purge...)
		r.said()
	}
	expect.Contains(r.t, out, "patchbay-lan: kept /"+lanEnvironment)
	expect.Equal(r.t, "files after removal", r.files(), before)
}
