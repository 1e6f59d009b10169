package nettest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// stateDirs returns the directories whose files are part of a snapshot: those of
// Patchbay, libcni, the reference plugins and runtimes, and of host names.
func stateDirs() []string {
	return []string{"/run/patchbay", "/var/lib/patchbay", "/var/lib/cni", "/run/cni", "/etc/netns", "/etc/hosts"}
}

// addForwarding adds the sysctls that attaching may touch, for the host and
// for each of its links. It must run inside the namespace.
func (s *Snapshot) addForwarding() error {
	s.addSysctl("", "net/ipv4/ip_forward")
	for _, link := range append([]string{"all", "default"}, s.links("")...) {
		about := link
		if link == "all" || link == "default" {
			about = ""
		}
		// A name with a dot in it is a directory of that name here.
		for _, setting := range []string{
			"ipv4/conf/%s/forwarding", "ipv4/conf/%s/route_localnet", "ipv4/conf/%s/rp_filter",
			"ipv4/conf/%s/proxy_arp", "ipv6/conf/%s/forwarding", "ipv6/conf/%s/accept_ra", "ipv6/conf/%s/disable_ipv6",
		} {
			s.addSysctl(about, "net/"+fmt.Sprintf(setting, link))
		}
	}
	return nil
}

// addSysctl adds one setting; one that is absent (no IPv6, a link that has
// just gone) is left out.
func (s *Snapshot) addSysctl(link, name string) {
	if value, err := os.ReadFile("/proc/sys/" + name); err == nil {
		s.set(link, strings.TrimSpace(string(value)), "sysctl", name)
	}
}

// addPins adds the named namespaces that are not containers of the test.
func (s *Snapshot) addPins(mine []string) error {
	pins, err := os.ReadDir(pinDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("named namespaces: %w", err)
	}
	for _, p := range pins {
		if !slices.Contains(mine, p.Name()) {
			s.set("", "present", "netns", p.Name())
		}
	}
	return nil
}

// addFiles adds mode, owner and content of everything below root.
func (s *Snapshot) addFiles(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("files below %s: %w", root, err)
		}
		value, err := describe(path, d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("files below %s: %w", root, err)
		}
		if err == nil {
			s.set("", value, "file", path)
		}
		return nil
	})
}

func describe(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	value := info.Mode().String()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		value += fmt.Sprintf(" %d:%d", st.Uid, st.Gid)
	}
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		value += fmt.Sprintf(" %d bytes sha256 %.6x", len(content), sha256.Sum256(content))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		value += " -> " + target
	}
	return value, nil
}

// inodes returns the names of the namespaces of this host by device and inode.
func (h *Node) inodes() map[netnsInode]string {
	out := make(map[netnsInode]string)
	all := []*Netns{h.Netns}
	for _, c := range h.existing() {
		all = append(all, c.Netns)
	}
	h.mu.Lock()
	all = append(all, h.machines...)
	h.mu.Unlock()
	for _, n := range all {
		if ino, ok := n.inode(); ok {
			out[ino] = n.name
		}
	}
	return out
}

// pinNames returns the names of the test's containers.
func (h *Node) pinNames() []string {
	var out []string
	for _, c := range h.existing() {
		out = append(out, filepath.Base(c.path))
	}
	return out
}

// guests returns the PID namespaces whose processes are ignored.
func (h *Node) guests() map[netnsInode]bool {
	out := make(map[netnsInode]bool)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.oracle.guests {
		var st syscall.Stat_t
		if syscall.Fstat(int(f.Fd()), &st) == nil {
			out[netnsInode{dev: st.Dev, ino: st.Ino}] = true
		}
	}
	return out
}

// namespaceOf returns a namespace of a process, "net" or "pid"; false for a
// process that has ended.
func namespaceOf(pid int, kind string) (netnsInode, bool) {
	var st syscall.Stat_t
	err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/%s", pid, kind), &st)
	return netnsInode{dev: st.Dev, ino: st.Ino}, err == nil
}

// addProcesses adds the processes in one of the given network namespaces, except
// guests. The test process is in none of them, and zombies have no namespace.
func (s *Snapshot) addProcesses(in map[netnsInode]string, guests map[netnsInode]bool) error {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("processes: %w", err)
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		netns, exists := namespaceOf(pid, "net")
		name, ours := in[netns]
		if its, _ := namespaceOf(pid, "pid"); !exists || !ours || guests[its] {
			continue
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		cmd := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		s.set("", fmt.Sprintf("%q in %s", cmd, name), "process", p.Name())
	}
	return nil
}
