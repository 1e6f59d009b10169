package link

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

func bridgeOf(mac string) *Bridge {
	hw, _ := net.ParseMAC(mac)
	return &Bridge{Link: Link{MAC: hw}}
}

// TestProbeReceive: a reply, and a probe of another host, claim an address; a frame of this host does not.
func TestProbeReceive(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("2001:db8::20")}
	own, other := &probe{bridge: bridgeOf("02:00:00:00:00:01")}, &probe{bridge: bridgeOf("52:54:00:00:00:02")}
	for _, addr := range addrs {
		p := &probe{bridge: own.bridge, left: []netip.Addr{addr}}
		p.receive(own.frame(addr))
		if len(p.found) != 0 {
			t.Errorf("its own probe for %s is taken for an answer", addr)
		}
		p.receive(other.frame(netip.MustParseAddr("198.51.100.7")))
		if len(p.found) != 0 {
			t.Errorf("a probe for another address is taken for one for %s", addr)
		}
		p.receive(other.frame(addr))
		if len(p.found) != 1 || !bytes.Equal(p.found[0].MAC, other.bridge.MAC) || p.found[0].Addr != addr {
			t.Errorf("a probe of another host for %s: %v", addr, p.found)
		}
	}
	reply := own.frame(addrs[0])
	copy(reply[6:12], other.bridge.MAC)
	reply[21] = 2 // a reply: the sender has the address
	copy(reply[28:32], addrs[0].AsSlice())
	copy(reply[38:42], []byte{0, 0, 0, 0})
	if addr, mac := claimed(reply); addr != addrs[0] || !bytes.Equal(mac, other.bridge.MAC) {
		t.Errorf("an ARP reply claims %s for %s", addr, mac)
	}
	advertisement := append(append([]byte{0x33, 0x33, 0, 0, 0, 1}, other.bridge.MAC...), 0x86, 0xdd)
	advertisement = append(advertisement, announcements(other.bridge.MAC, []netip.Prefix{netip.PrefixFrom(addrs[1], 64)})[1]...)
	if addr, _ := claimed(advertisement); addr != addrs[1] {
		t.Errorf("an advertisement claims %s", addr)
	}
}

// FuzzClaimed: claimed does not panic, whatever a frame contains and wherever it ends.
func FuzzClaimed(f *testing.F) {
	p := &probe{bridge: bridgeOf("02:00:00:00:00:01")}
	f.Add(p.frame(netip.MustParseAddr("192.0.2.20")))
	f.Add(p.frame(netip.MustParseAddr("2001:db8::20")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		for length := range len(frame) + 1 {
			claimed(frame[:length])
		}
	})
}
