package security

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	secretDir  = "drwx------ 0:0"
	secretFile = "-rw------- 0:0"
	sharedDir  = "drwxr-xr-x 0:0"
	mark       = "Lrwxrwxrwx 0:0" // a link that leads nowhere; the mode of a link means nothing
)

// stickyState is what a network with ipam.sticky leaves on disk.
func stickyState() map[string]string {
	return map[string]string{
		"/var/lib/patchbay": secretDir, "/var/lib/patchbay/sticky": secretDir, "/var/lib/patchbay/sticky/net": secretDir,
		"/var/lib/patchbay/sticky/net/ip-10.1.2.2": secretFile, "/var/lib/patchbay/sticky/net/owner-web@eth0": secretFile,
	}
}

// recordState is the record, locked or not.
func recordState() map[string]string {
	return map[string]string{
		"/run/patchbay": secretDir, "/run/patchbay/net": secretDir, "/run/patchbay/net/web@eth0.json": secretFile,
		"/run/patchbay/.bridges": secretDir, "/run/patchbay/.bridges/cni0.HASH": mark,
	}
}

// addressState is what is in a directory of addresses, which has a mode of its own.
func addressState(dir, mode string) map[string]string {
	return map[string]string{
		dir: mode, dir + "/net": mode,
		dir + "/net/10.1.2.2": secretFile, dir + "/net/last_reserved_ip.0": secretFile, dir + "/net/lock": secretFile,
	}
}

// TestModes: whatever the umask of the runtime is, nobody but root reads or writes state. The
// directories of addresses are open to look into, as host-local has them, where dataDir says
// that they are shared with others.
//
// Claim: State is accessible to root alone, whatever the umask: directories 0700, files 0600, shared address directories 0755
func TestModes(t *testing.T) {
	t.Parallel()
	shared := cni.Conf{"type": "patchbay", "sticky": true, "subnet": "10.1.2.0/24", "dataDir": "/var/lib/cni/networks"}
	for _, umask := range []string{"000", "022", "077"} {
		t.Run("umask "+umask, func(t *testing.T) {
			t.Parallel()
			own := merged(recordState(), stickyState(), addressState("/run/patchbay/ipam", secretDir))
			modesAfterAdd(t, umask, network(), own)
			dir := sharedDir
			if umask == "077" {
				dir = secretDir
			}
			other := merged(recordState(), stickyState(), addressState("/var/lib/cni/networks", dir))
			maps.Copy(other, map[string]string{
				"/var/lib/cni": dir, "/run/patchbay/.life": mark,
				"/var/lib/cni/networks/net/.patchbay": secretDir, "/var/lib/cni/networks/net/.patchbay/10.1.2.2": mark,
			})
			modesAfterAdd(t, umask, network(cni.Conf{"ipam": shared}), other)
		})
	}
}

func modesAfterAdd(t *testing.T, umask string, network cni.Conf, want map[string]string) {
	t.Helper()
	h := nettest.Host(t)
	a := on(t, h, h.Container("web"), network)
	a.call.Plugin = wrapped(t, h, "umask %s; exec", umask)
	a.run(t, "ADD").OK(t)
	got := map[string]string{}
	for _, root := range []string{"/run/patchbay", "/var/lib/patchbay", "/var/lib/cni"} {
		for path, mode := range tree(t, h, root, modeAndOwner) {
			got[regexp.MustCompile(`(/\.bridges/cni0\.)[0-9a-f]{12}$`).ReplaceAllString(path, "${1}HASH")] = mode
		}
	}
	expect.Equal(t, "modes and owners after ADD", got, want)
	a.run(t, "DEL").OK(t)
	for path, mode := range tree(t, h, "/run/patchbay", modeAndOwner) {
		if strings.HasSuffix(path, "/lock") && mode != secretFile {
			t.Errorf("%s is %s after DEL", path, mode)
		}
	}
}

func merged(parts ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, p := range parts {
		maps.Copy(out, p)
	}
	return out
}
