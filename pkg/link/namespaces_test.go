package link_test

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestNamespaces: a namespace without thread, mount and open file is reported as gone.
//
// Claim: An attachment whose host and container namespaces no longer exist is stale; one of an existing host is kept, wherever its
// namespace is held
func TestNamespaces(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("web")
	var id link.NetnsID
	h.Do(func() {
		s, err := link.OpenSandbox(c.Path(), false)
		if err != nil {
			t.Error(err)
			return
		}
		id = link.NetnsID{Cookie: s.Cookie(), Inode: s.Inode()}
		s.Close()
	})
	host := in(t, h)
	cookies := host.Cookie() != 0 // Linux 5.14
	if (id.Cookie != 0) != cookies || id.Inode == 0 {
		t.Fatalf("the container's namespace is %+v", id)
	}
	if link.FindNamespaces().Gone(id) {
		t.Error("a namespace that has a path and a thread is gone")
	}
	if link.FindNamespaces().Gone(link.NetnsID{Cookie: host.Cookie()}) {
		t.Error("the host's namespace is gone")
	}
	c.Delete()
	if gone := link.FindNamespaces().Gone(id); gone != cookies {
		t.Errorf("a namespace without path, thread and file is gone: %t, want %t", gone, cookies)
	}
	if link.FindNamespaces().Gone(link.NetnsID{}) {
		t.Error("a namespace without a cookie is gone")
	}
}
