package chaos

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// seen is what the host has for attachments, by their text "network/container/interface".
type seen struct {
	Links, Devices []string            // host interfaces, ifb devices
	Rules          []string            // owners of elements in nftables that have to be there
	Records        map[string][]string // with addresses
	Files          map[string][]string // addresses in files
}

// compare requires that the host has exactly what the live attachments need, and that they work.
func (h *Host) compare(t testing.TB) {
	t.Helper()
	live := h.live()
	got, want := h.look(t, live), h.want(t, live)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the host (-want +got):\n%s", diff)
		return
	}
	var all sync.WaitGroup
	free := make(chan struct{}, callers)
	for _, a := range live {
		free <- struct{}{}
		all.Go(func() {
			h.works(t, a)
			<-free
		})
	}
	all.Wait()
}

// live returns the attachments that exist.
func (h *Host) live() []*attachment {
	var all []*attachment
	for _, c := range h.callers {
		for _, box := range c.containers {
			for _, ifname := range slices.Sorted(maps.Keys(box.attached)) {
				all = append(all, box.attached[ifname])
			}
		}
	}
	return all
}

// works calls CHECK, and pings the gateways of an attachment.
func (h *Host) works(t testing.TB, a *attachment) {
	h.check(t, a, killer{})
	h.Compared.Add(1)
	if !a.net.pings {
		return
	}
	for _, ip := range (nettest.Answer{Stdout: a.last()}).Result(t).IPs {
		gateway, _ := netip.AddrFromSlice(ip.Gateway)
		source, _ := netip.AddrFromSlice(ip.Address.IP)
		r := a.box.Ping(gateway.Unmap(), nettest.PingOptions{Count: 1, Timeout: 10 * time.Second, From: source.Unmap()})
		if r.Received == 0 {
			t.Errorf("ping from %s: %s", a.key, r)
		}
	}
}

// want returns what attachments need.
func (h *Host) want(t testing.TB, live []*attachment) seen {
	s := seen{Records: map[string][]string{}, Files: map[string][]string{}}
	for _, a := range live {
		k := a.key.String()
		s.Links = append(s.Links, k)
		if a.net.limited {
			s.Devices = append(s.Devices, k)
		}
		s.Records[k] = []string{}
		for _, ip := range (nettest.Answer{Stdout: a.last()}).Result(t).IPs {
			s.Records[k] = append(s.Records[k], ip.Address.IP.String())
		}
		slices.Sort(s.Records[k])
		s.Files[k] = s.Records[k]
	}
	return s.sorted()
}

func (s seen) sorted() seen {
	slices.Sort(s.Links)
	slices.Sort(s.Devices)
	slices.Sort(s.Rules)
	return s
}

// look reads the host. Of rules it returns those of attachments that do not exist: what those that do exist need is CHECK's.
func (h *Host) look(t testing.TB, live []*attachment) seen {
	t.Helper()
	s := seen{Records: map[string][]string{}, Files: map[string][]string{}}
	links, err := h.Netlink().LinkList()
	for i := 0; err != nil && i < 20; i++ {
		links, err = h.Netlink().LinkList()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		s.addLink(l)
	}
	owner := regexp.MustCompile(`comment "patchbay:\S+ ([^"]+)"`)
	for _, m := range owner.FindAllStringSubmatch(h.Run(t, "nft", "list", "ruleset"), -1) {
		stale := !slices.ContainsFunc(live, func(a *attachment) bool { return a.key.String() == m[1] })
		if stale && h.isOurs(m[1]) {
			s.Rules = append(s.Rules, m[1])
		}
	}
	h.Do(func() {
		s.addFiles(t)
	})
	s.dropForeign(h)
	return s.sorted()
}

func (s *seen) addLink(l netlink.Link) {
	name, kind := l.Attrs().Name, l.Type()
	if kind != "ifb" && !strings.HasPrefix(name, "veth") {
		return
	}
	_, owner, aliased := strings.Cut(l.Attrs().Alias, " ")
	if !aliased {
		owner = "a link " + name + " with the alias " + l.Attrs().Alias
	}
	if kind == "ifb" {
		s.Devices = append(s.Devices, owner)
		return
	}
	s.Links = append(s.Links, owner)
}

// addFiles reads records and address files. It runs on the host's thread.
func (s *seen) addFiles(t testing.TB) {
	for _, path := range glob(t, "/run/patchbay/*/*@*.json*") {
		text := read(t, path)
		if len(text) == 0 {
			continue // a lock without a record
		}
		addresses := append([]string{}, addressesOf(text)...)
		slices.Sort(addresses)
		id, ifname, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "@")
		s.Records[filepath.Base(filepath.Dir(path))+"/"+id+"/"+ifname] = addresses
	}
	for _, path := range append(glob(t, "/run/patchbay/ipam/*/*"), glob(t, "/var/lib/cni/networks/*/*")...) {
		base, network := filepath.Base(path), filepath.Base(filepath.Dir(path))
		text := strings.TrimSpace(string(read(t, path)))
		if base == "lock" || strings.HasPrefix(base, "last_reserved_ip.") || text == "" {
			continue
		}
		id, ifname, _ := strings.Cut(text, "\r\n")
		k := network + "/" + id + "/" + ifname
		s.Files[k] = append(s.Files[k], base)
		slices.Sort(s.Files[k])
	}
}

// dropForeign removes what belongs to a network of another runtime.
func (s *seen) dropForeign(h *Host) {
	theirs := func(owner string) bool { return !h.isOurs(owner) && !strings.HasPrefix(owner, "a link") }
	s.Links, s.Devices = slices.DeleteFunc(s.Links, theirs), slices.DeleteFunc(s.Devices, theirs)
	drop := func(owner string, _ []string) bool { return theirs(owner) }
	maps.DeleteFunc(s.Records, drop)
	maps.DeleteFunc(s.Files, drop)
}

// isOurs reports whether an attachment is of a network of the callers.
func (h *Host) isOurs(owner string) bool {
	name, _, _ := strings.Cut(owner, "/")
	return slices.ContainsFunc(h.networks, func(n network) bool { return n.name == name })
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Error(err)
	}
	return paths
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EISDIR) {
		t.Error(err)
	}
	return text
}
