package boot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// attach connects two namespaces and an LXC container to br0 with the commands of README and docs, requires that all reach the outside and each other
// by name, and that the picture has them; and removes everything again.
func (s *site) attach(t *testing.T) {
	t.Helper()
	before := s.state(t)
	s.Shell(t, `
		patchbay up one --network br0 --ip 192.0.2.50
		patchbay up two --network br0 --ip 192.0.2.51
		lxc-create -n three -t busybox >/dev/null
		sed -i /udhcpc/d /var/lib/lxc/three/rootfs/etc/init.d/rcS
		patchbay lxc enable three --network br0 --ip 192.0.2.52 --names --force
		lxc-start -n three`)
	for name, inside := range map[string]string{"one": "ip netns exec one", "two": "ip netns exec two", "three": "lxc-attach -n three --"} {
		for _, to := range []string{router4, beyond4, host4, "one", "two", "three"} {
			if to != name { // a packet to itself needs lo, which the init of busybox does not set up
				s.Shell(t, inside+" ping -c 1 -W 10 "+to)
			}
		}
	}
	s.pictured(t, s.Run(t, "patchbay", "show", "-o", "svg"))
	s.Shell(t, "patchbay down one two; lxc-stop -k -n three; patchbay lxc disable three; lxc-destroy -n three")
	s.until(t, "everything is undone", func() bool { return s.state(t) == before })
	expect.Equal(t, "attachments", s.Run(t, "patchbay", "ls", "-o", "name"), "")
}

// pictured requires a well-formed picture that has the bridge, its ports and everything on it.
func (s *site) pictured(t *testing.T, svg string) {
	t.Helper()
	var texts strings.Builder
	for in := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture: %v", err)
		}
		if text, is := token.(xml.CharData); is {
			texts.Write(text)
			texts.WriteByte('\n')
		}
	}
	expect.Contains(t, texts.String(), "br0", "eth0", "one", "two", "three", "192.0.2.50/24", "192.0.2.51/24", "192.0.2.52/24")
}
