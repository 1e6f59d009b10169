package uplink

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// aged returns an address with lifetimes in seconds.
func aged(addr string, preferred, valid uint32) address {
	p := netip.MustParsePrefix(addr)
	body := make([]byte, addressHeader)
	body[0], body[1] = unix.AF_INET, byte(p.Bits())
	if p.Addr().Is6() {
		body[0] = unix.AF_INET6
	}
	body = nlsock.AppendAttribute(body, unix.IFA_ADDRESS, p.Addr().AsSlice())
	info := append(append(bytes32(preferred), bytes32(valid)...), make([]byte, 8)...)
	body = nlsock.AppendAttribute(body, unix.IFA_CACHEINFO, info)
	return nlsock.AppendAttribute(body, unix.IFA_FLAGS, bytes32(unix.IFA_F_NOPREFIXROUTE|unix.IFA_F_SECONDARY))
}

// TestLifetimes: an address that is added some time after it was read has the rest of its lifetimes, and none when they are over.
func TestLifetimes(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		preferred, valid         uint32
		old                      time.Duration
		wantPreferred, wantValid uint32
		over                     bool
	}{
		{"without end", infinite, infinite, time.Hour, infinite, infinite, false},
		{"at once", 100, 200, 0, 100, 200, false},
		{"later", 100, 200, 30 * time.Second, 70, 170, false},
		{"deprecated meanwhile", 100, 200, 150 * time.Second, 0, 50, false},
		{"deprecated without end", 0, infinite, time.Hour, 0, infinite, false},
		{"over", 100, 200, 200 * time.Second, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := aged("2001:db8::1/64", tt.preferred, tt.valid).on(7, "eth0", "br0", tt.old)
			if tt.over {
				if a != nil {
					t.Errorf("got %v", a)
				}
				return
			}
			preferred, valid := a.lifetimes()
			if preferred != tt.wantPreferred || valid != tt.wantValid || a.index() != 7 || a.flags() != unix.IFA_F_NOPREFIXROUTE {
				t.Errorf("preferred %d, valid %d, index %d, flags %#x", preferred, valid, a.index(), a.flags())
			}
		})
	}
}

// TestRouteLifetimes: a route of a router that is added some time after it was read ends when it would have.
func TestRouteLifetimes(t *testing.T) {
	body := make([]byte, routeHeader)
	body[0], body[5] = unix.AF_INET6, unix.RTPROT_RA
	body = nlsock.AppendAttribute(body, unix.RTA_OIF, bytes32(2))
	body = nlsock.AppendAttribute(body, unix.RTA_CACHEINFO, append(make([]byte, 8), append(bytes32(100*clockTicks), make([]byte, 20)...)...))
	r := route(body).on(2, 9, 40*time.Second)
	if got := number32(r.attribute(rtaExpires)); got != 60 || r.attribute(unix.RTA_CACHEINFO) != nil || !r.uses(9) {
		t.Errorf("expires in %d s: %v", got, []byte(r))
	}
	if r := route(body).on(2, 9, 100*time.Second); r != nil {
		t.Errorf("its lifetime is over: %v", []byte(r))
	}
}

func TestRelabel(t *testing.T) {
	for label, want := range map[string]string{"eth0": "br0", "eth0:1": "br0:1", "eth01": "eth01", "other": "other"} {
		if got := relabel(label, "eth0", "br0"); got != want {
			t.Errorf("%s: got %s, want %s", label, got, want)
		}
	}
}

// TestPortOfABond: kernels without bonding and team drivers cannot show it otherwise.
func TestPortOfABond(t *testing.T) {
	for kind, want := range map[string]string{
		"bond": "eth0 cannot be the uplink of a bridge: it is a slave of bond master0; use the bond: --uplink master0",
		"team": "eth0 cannot be the uplink of a bridge: it is a slave of team master0; use the team: --uplink master0",
		"vrf":  "eth0 cannot be the uplink of a bridge: it belongs to master0; remove it from there first",
	} {
		slave := &device{name: "eth0", index: 2, master: 3, masterKind: kind}
		err := checkPort(slave, []*device{slave, {name: "master0", index: 3}})
		if !errors.Is(err, ErrRefused) || err.Error() != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// Any bytes can be read and rewritten without a panic.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(aged("192.0.2.1/24", 1, 2)))
	f.Fuzz(func(_ *testing.T, body []byte) {
		if len(body) < linkHeader {
			return
		}
		_ = address(body).on(3, "a", "b", time.Second)
		_ = address(body).prefix()
		r := route(body)
		_, _, _ = r.on(1, 2, time.Second), r.String(), r.gateways(1)
		_ = rule(body).on("a", "b")
		_ = parseLink(body)
	})
}

func TestFromMAC(t *testing.T) {
	if got := fromMAC([]byte{0x52, 0x54, 0, 0, 0x53, 0x10}).String(); !strings.EqualFold(got, "fe80::5054:ff:fe00:5310") {
		t.Error(got)
	}
}
