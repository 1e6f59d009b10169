package main

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

// container is a network namespace as a runtime hands it to a plugin: new and pinned.
type container struct {
	id   string // 64 digits, like a runtime's
	path string
	addr netip.Addr // for those who have no IPAM; no two containers have the same

	ports []portMapping // for those who publish; no two containers have one of the host in common
}

// portMapping is one of the capability portMappings.
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	Range         int    `json:"range,omitempty"` // how many; ours alone knows that
}

// maker makes namespaces with names that are never used twice.
type maker struct {
	made atomic.Int32
}

// container makes one; none of them is ever removed, they end with the program.
func (m *maker) container() (container, error) {
	n := m.made.Add(1)
	c := container{
		id:   fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, "container ", n))),
		path: filepath.Join(netnsDir, fmt.Sprintf("c%d", n)),
		addr: netip.AddrFrom4([4]byte{10, 88, byte(n>>8) + 1, byte(n)}),

		ports: []portMapping{{HostPort: 1024 + int(n), ContainerPort: 80, Protocol: "tcp"}},
	}
	return c, pinNetns(c.path)
}

// host makes the host of a contender.
func (m *maker) host() (ns.NetNS, error) {
	path := filepath.Join(netnsDir, fmt.Sprintf("h%d", m.made.Add(1)))
	if err := pinNetns(path); err != nil {
		return nil, err
	}
	return ns.GetNS(path)
}

// pinNetns makes a network namespace and binds it to path.
func pinNetns(path string) error {
	home, err := ns.GetCurrentNS()
	if err != nil {
		return err
	}
	defer home.Close()
	// Do takes a thread of its own and brings it back to where it was.
	return home.Do(func(ns.NetNS) error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin network namespace at %s: %w", path, err)
		}
		return nil
	})
}
