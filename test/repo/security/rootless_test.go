package security

import (
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// unprivileged runs a command as user nobody, mapped to root in a new user namespace.
func unprivileged(command ...string) []string {
	return append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "unshare", "-Urnm"}, command...)
}

// TestRootless: everything works for a user that is root only in a user namespace, with its own /run.
//
// Claim: Patchbay works rootless in a user namespace; features that cannot work there return a specific error
func TestRootless(t *testing.T) {
	needUserNamespaces(t)
	nettest.Need(t, nettest.Tool("nft"), nettest.NFTables)
	t.Parallel()
	h := nettest.Host(t)
	text, err := os.ReadFile("testdata/rootless.sh")
	must(t, err)
	out := h.Run(t, "setpriv", unprivileged("sh", "-c", string(text), "rootless.sh", installed(t, h))...)
	want := []string{
		"ADD and CHECK of red", "ADD and CHECK of blue", "red pings 10.1.2.3", "red pings fd00:1:2::3",
		"red pings 10.1.2.1", "red pings fd00:1:2::1",
		"10.1.2.2 is masqueraded", "10.1.2.3 is masqueraded", "fd00:1:2::2 is masqueraded", "fd00:1:2::3 is masqueraded", "nothing is left", "",
	}
	expect.Equal(t, "steps", strings.Split(out, "\n"), want)
}

// TestRootlessCannot: features that do not work in a user namespace fail with an error that names them and the remedy.
//
// Claim: Patchbay works rootless in a user namespace; features that cannot work there return a specific error
func TestRootlessCannot(t *testing.T) {
	needUserNamespaces(t)
	t.Parallel()
	h := nettest.Host(t)
	h.Run(t, "install", "-d", "-m", "0700", "-o", "65534", "/run/patchbay", "/var/lib/patchbay")
	h.Baseline()
	a := on(t, h, h.Container("web"), network())
	plugin := installed(t, h)
	a.call.Plugin = nettest.Script(t, "exec setpriv "+strings.Join(unprivileged(plugin), " "))
	rootlessFails(t, a, types.Error{Code: 999, Msg: "open netlink socket: enter network namespace /run/netns/web: operation not permitted", Details: "in a user namespace, capabilities apply only to its own network namespaces"})

	// A namespace of its own, but the host's /run.
	h.Run(t, "rmdir", "/run/patchbay", "/var/lib/patchbay")
	h.Baseline()
	own := "exec 9</proc/self/ns/net; exec unshare -n env CNI_NETNS=/proc/self/fd/9 " + plugin
	a.call.Plugin = nettest.Script(t, "exec setpriv "+strings.Join(unprivileged("sh", "-c", "'"+own+"'"), " "))
	rootlessFails(t, a, types.Error{Code: 5, Msg: "state directory /run/patchbay/net: write to /run: permission denied", Details: "in a user namespace, mount a tmpfs on /run"})
}

func rootlessFails(t *testing.T, a *attachment, want types.Error) {
	t.Helper()
	e := a.run(t, "ADD").Error(t)
	if e.Code != want.Code || e.Msg != want.Msg || !strings.Contains(e.Details, want.Details) {
		t.Errorf("got %d %q %q, want %d %q %q", e.Code, e.Msg, e.Details, want.Code, want.Msg, want.Details)
	}
}

// needUserNamespaces skips the test where only root may create user namespaces.
func needUserNamespaces(t *testing.T) {
	t.Helper()
	nettest.Root(t)
	nettest.Need(t, nettest.Tool("setpriv"), nettest.Tool("unshare"), nettest.Tool("nsenter"), nettest.Tool("ping"), nettest.UserNamespaces)
}
