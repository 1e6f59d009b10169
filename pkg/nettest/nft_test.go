package nettest

import (
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestOracleNoticesRules needs the nft program, without which the oracle does
// not look at rules.
//
// Claim: The leak check of the tests allows the table itself, and no element in it
func TestOracleNoticesRules(t *testing.T) {
	t.Parallel()
	Need(t, Tool("nft"), NFTables)
	r := record(t, func(t testing.TB) {
		h := Host(t)
		h.oracle.wait = 0
		h.Run(t, "nft", "add", "table", "inet", "leak")
	})
	checkSaid(t, r, `+ nft {"table":{"family":"inet","name":"leak"}}: 1`)
}

// An attachment may leave our tables, with what they have of bridges; but no element of its own.
//
// Claim: A test that leaves a flow or an element of a port that is no longer published fails
// Claim: The leak check of the tests allows the table itself, and no element in it
func TestOracleNoticesElements(t *testing.T) {
	t.Parallel()
	Need(t, Tool("nft"), NFTables)
	const bridges = "set intra { type ifname . ifname; elements = { cni0 . cni0 }; }; set apart { type ifname . ifname; elements = { cni0 . cni0 }; }; " +
		"set isolated { type ifname; elements = { cni0 }; }; set answers_only { type ifname; elements = { cni0 }; }; set localnet { type ifname; elements = { cni0 }; };"
	for _, row := range []struct {
		name, rules string
		mode        Mode
		want        string // "" for no complaint
	}{
		{"tables and bridges", "table inet patchbay { chain c { }; " + bridges + " }; table bridge patchbay { set ports_apart { type ifname; }; }", Attachment, ""},
		{"tables and bridges, clean host", "table inet patchbay { " + bridges + " }", CleanHost, `+ nft element inet patchbay intra `},
		{"masquerade", `table inet patchbay { chain c { }; map m { type ipv4_addr : verdict; elements = { 10.1.2.3 comment "lost" : jump c }; }; }`, Attachment, `+ nft element inet patchbay m `},
		{"itself", `table inet patchbay { set self4 { type ifname . ipv4_addr . ipv4_addr; elements = { cni0 . 10.1.2.3 . 10.1.2.3 }; }; }`, Attachment, `+ nft element inet patchbay self4 `},
		{"port of an isolated bridge", `table bridge patchbay { set ports_apart { type ifname; elements = { veth0 }; }; }`, Attachment, `+ nft element bridge patchbay ports_apart `},
		{"bridges of another table", `table ip patchbay { set intra { type ifname . ifname; elements = { cni0 . cni0 }; }; }`, Attachment, `+ nft element ip patchbay intra `},
		{"another table", `table ip patchbay { }`, Attachment, `+ nft {"table":{"family":"ip","name":"patchbay"}}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) {
				h := Host(t)
				h.oracle.wait = 0
				h.Oracle(row.mode)
				h.Run(t, "nft", row.rules)
			})
			checkSaid(t, r, row.want)
			if row.mode == Attachment && strings.Contains(r.said(), `"chain"`) {
				t.Errorf("the oracle complains of what may stay: %s", r.said())
			}
		})
	}
}

// A flow that a port which nobody publishes any more still leads somewhere is a leak: of datagrams,
// because a connection ends by itself. One that went is none.
//
// Claim: A test that leaves a flow or an element of a port that is no longer published fails
func TestOracleNoticesFlows(t *testing.T) {
	t.Parallel()
	Need(t, Tool("nft"), NFTables)
	for _, row := range []struct {
		name string
		do   func(t testing.TB, h *Node)
		want string
	}{
		{"IPv4", datagram("192.0.2.10:5353"), "+ flow udp 192.0.2.10:5353 to 10.1.2.3:53: present"},
		{"IPv6", datagram("[2001:db8::10]:5353"), "+ flow udp [2001:db8::10]:5353 to [2001:db8:1::3]:53: present"},
		{"not translated", datagram("192.0.2.10:5354"), ""},
		{"went", func(t testing.TB, h *Node) {
			datagram("192.0.2.10:5353")(t, h)
			h.Baseline()
			h.Do(func() {
				if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
					t.Error(err)
				}
			})
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(t testing.TB) {
				h := Host(t)
				h.oracle.wait = 0
				h.Bridge("br0", "192.0.2.10/24", "2001:db8::10/64", "10.1.2.1/24", "2001:db8:1::1/64")
				h.Run(t, "nft", "table inet leftover { chain output { type nat hook output priority -100; "+
					"udp dport 5353 dnat ip to 10.1.2.3:53; udp dport 5353 dnat ip6 to [2001:db8:1::3]:53; }; }")
				h.Baseline()
				row.do(t, h)
			})
			checkSaid(t, r, row.want)
		})
	}
}

// datagram sends one from the host.
func datagram(to string) func(testing.TB, *Node) {
	return func(t testing.TB, h *Node) {
		h.Do(func() {
			conn, err := net.Dial("udp", to)
			if err == nil {
				_, err = conn.Write([]byte("x"))
				conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
