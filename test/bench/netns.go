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

// container is a new, pinned network namespace, as a runtime passes it to a plugin.
type container struct {
	id   string // 64 hexadecimal digits, as runtimes use
	path string
	addr netip.Addr // for contenders without IPAM; unique

	ports []portMapping // for contenders that publish ports; no two containers share a host port
}

// portMapping is an item of the capability portMappings.
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	Range         int    `json:"range,omitempty"` // number of ports; an extension of Patchbay
}

// maker creates namespaces with unique names.
type maker struct {
	made atomic.Int32
}

// container creates a container. It exists until the program ends.
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

// host creates the host namespace of a contender.
func (m *maker) host() (ns.NetNS, error) {
	path := filepath.Join(netnsDir, fmt.Sprintf("h%d", m.made.Add(1)))
	if err := pinNetns(path); err != nil {
		return nil, err
	}
	return ns.GetNS(path)
}

// pinNetns creates a network namespace and bind-mounts it at path.
func pinNetns(path string) error {
	home, err := ns.GetCurrentNS()
	if err != nil {
		return err
	}
	defer home.Close()
	// Do runs on its own thread and returns it to its namespace.
	return home.Do(func(ns.NetNS) error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("create network namespace: %w", err)
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
