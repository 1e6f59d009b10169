package conntrack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Deleting a flow that has ended is no error, and a newer flow of the same tuple is not deleted in its place.
func TestEndIsOfThisFlow(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	h.Allow("nft ")
	h.Run(t, "nft", "table inet test { chain out { type filter hook output priority 0; ct state new accept; }; }")
	h.Do(func() {
		client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(ap("127.0.0.1:8080")))
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		if err := endTwice(); err != nil {
			t.Error(err)
		}
	})
}

func endTwice() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	table, err := open(ctx)
	if err != nil {
		return err
	}
	defer table.close()
	q := query{family: unix.AF_INET, proto: unix.IPPROTO_UDP, port: 8080}
	local := func(netip.Addr) (bool, error) { return true, nil }
	all := func(flow) bool { return true }
	found, err := table.list(q, all)
	if err != nil || len(found) != 1 {
		return errors.Join(err, errors.New("want one flow"))
	}
	another := found[0]
	another.id = []byte{^another.id[0], 0, 0, 1}
	if err := table.deleteIfLocal(another, local); err != nil {
		return err
	}
	if again, err := table.list(q, all); err != nil || len(again) != 1 {
		return errors.Join(err, errors.New("the flow was deleted in place of another"))
	}
	if err := errors.Join(table.deleteIfLocal(found[0], local), table.deleteIfLocal(found[0], local)); err != nil {
		return err
	}
	if again, err := table.list(q, all); err != nil || len(again) != 0 {
		return errors.Join(err, errors.New("the flow was not deleted"))
	}
	return nil
}

// local is called once for each address, and again only after an error.
func TestCachedLocal(t *testing.T) {
	asked := map[string]int{}
	local := cached(func(addr netip.Addr) (bool, error) {
		asked[addr.String()]++
		if addr.Is6() {
			return false, unix.EBUSY
		}
		return addr.IsPrivate(), nil
	})
	for range 3 {
		for text, want := range map[string]bool{"10.1.2.3": true, "192.0.2.1": false} {
			if is, err := local(netip.MustParseAddr(text)); err != nil || is != want {
				t.Errorf("%s: got %v, %v", text, is, err)
			}
		}
		if _, err := local(netip.IPv6Loopback()); !errors.Is(err, unix.EBUSY) {
			t.Errorf("got %v, want EBUSY", err)
		}
	}
	if diff := cmp.Diff(map[string]int{"10.1.2.3": 1, "192.0.2.1": 1, "::1": 3}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
