package security

import (
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// unprivileged runs a command as nobody, who is root in a user namespace of their own only.
func unprivileged(command ...string) []string {
	return append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "unshare", "-Urnm"}, command...)
}

// TestRootless: everything works for somebody who is root in a user namespace only, and has a
// /run there.
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

// TestRootlessCannot: what a user namespace cannot do is an error that names it and the way out.
func TestRootlessCannot(t *testing.T) {
	needUserNamespaces(t)
	t.Parallel()
	h := nettest.Host(t)
	a := on(t, h, h.Container("web"), network())
	plugin := installed(t, h)
	a.call.Plugin = nettest.Script(t, "exec setpriv "+strings.Join(unprivileged(plugin), " "))
	rootlessFails(t, a, types.Error{Code: 999, Msg: "open netlink socket: enter network namespace /run/netns/web: operation not permitted", Details: "a user namespace has them for its own network namespaces only"})

	// A namespace of its own, but the host's /run.
	own := "exec 9</proc/self/ns/net; exec unshare -n env CNI_NETNS=/proc/self/fd/9 " + plugin
	a.call.Plugin = nettest.Script(t, "exec setpriv "+strings.Join(unprivileged("sh", "-c", "'"+own+"'"), " "))
	rootlessFails(t, a, types.Error{Code: 5, Msg: "make state directory: mkdir /run/patchbay: permission denied", Details: "a user namespace needs a /run of its own"})
}

func rootlessFails(t *testing.T, a *attachment, want types.Error) {
	t.Helper()
	e := a.run(t, "ADD").Error(t)
	if e.Code != want.Code || e.Msg != want.Msg || !strings.Contains(e.Details, want.Details) {
		t.Errorf("got %d %q %q, want %d %q %q", e.Code, e.Msg, e.Details, want.Code, want.Msg, want.Details)
	}
}

// needUserNamespaces: some distributions let only root make them, and then this cannot be had.
func needUserNamespaces(t *testing.T) {
	t.Helper()
	nettest.Root(t)
	nettest.Need(t, nettest.Tool("setpriv"), nettest.Tool("unshare"), nettest.Tool("nsenter"), nettest.Tool("ping"), nettest.UserNamespaces)
}
