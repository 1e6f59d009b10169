package dist

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestWalk installs a package in a throw-away root, makes an attachment and a drop-in, upgrades, tries to remove, ends the attachment, removes and purges.
//
// Claim: A package is upgraded while attachments live, with the names of a drop-in; its removal is refused then, with their names and the way
// Claim: Removal and purge of a package leave no file, and nothing in the kernel; a drop-in's originals come back
func TestWalk(t *testing.T) {
	for _, m := range managers("patchbay") {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := newRoot(t)
			before := r.files()
			first, second := r.packagesOf(m)
			r.ok(m, append(m.install, first)...)
			expect.Contains(t, r.inside("version"), "patchbay 0.2.0 ")
			expect.Contains(t, r.inside("install", "--drop-in"), "kept /opt/cni/bin/bridge")
			expect.Contains(t, r.inside("install", "--drop-in", "--bin-dir", "/usr/lib/cni"), "kept /usr/lib/cni/bridge", "already installed /usr/lib/cni/patchbay as a link")
			named, detach := r.attach()
			r.write("var/lib/patchbay/sticky/net/ip-10.1.2.3", "memory")

			r.ok(m, append(m.upgrade, second)...)
			installed := r.files()
			for _, dir := range []string{"/opt/cni/bin", "/usr/lib/cni"} {
				expect.Equal(t, "bridge after the upgrade in "+dir, installed[dir+"/bridge"], installed["/opt/cni/bin/patchbay"])
			}
			if strings.HasSuffix(installed["/opt/cni/bin/patchbay"], "older") {
				t.Error("the program was not upgraded")
			}
			code, out := r.try(m, "A=", m.remove...)
			if code == 0 {
				t.Errorf("removal is not refused:\n%s", out)
			}
			expect.Contains(t, out, "attachments exist: "+named+";", "patchbay detach", "PATCHBAY_FORCE_REMOVE=1")
			expect.Equal(t, "files after refused removal", r.files(), installed)

			detach()
			r.removed(m, before)
			r.SetSysctl("net/ipv4/ip_forward", "0")
		})
	}
}

// removed removes and purges the package, and requires the files from before.
func (r *root) removed(m manager, before map[string]string) {
	r.t.Helper()
	expect.Contains(r.t, r.ok(m, m.remove...), "restored /opt/cni/bin/bridge", "restored /usr/lib/cni/bridge", "deleted table inet patchbay of nftables", "deleted /run/patchbay")
	if m.purge != nil {
		expect.Equal(r.t, "sticky memory after removal", r.files()["/var/lib/patchbay/sticky/net/ip-10.1.2.3"], "-rwxr-xr-x memory")
		r.ok(m, m.purge...)
	}
	expect.Equal(r.t, "files after removal", r.files(), before)
}

// TestForced: with PATCHBAY_FORCE_REMOVE=1 the package is removed although an attachment exists, which is named, and stays.
//
// Claim: PATCHBAY_FORCE_REMOVE=1 removes a package although attachments exist, and names them
func TestForced(t *testing.T) {
	for _, m := range managers("patchbay") {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := newRoot(t)
			before := r.files()
			_, second := r.packagesOf(m)
			r.ok(m, append(m.install, second)...)
			named, detach := r.attach()
			code, out := r.try(m, "PATCHBAY_FORCE_REMOVE=1", m.remove...)
			expect.Equal(t, "exit status: "+out, code, 0)
			expect.Contains(t, out, "attachments exist: "+named+";")
			if m.purge != nil {
				r.ok(m, m.purge...)
			}
			expect.Equal(t, "files after removal", r.files(), before)
			detach()
			r.patchbay("uninstall", "--purge", "--bin-dir", "/run/none")
			r.SetSysctl("net/ipv4/ip_forward", "0")
		})
	}
}
