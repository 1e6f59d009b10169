package hostnames

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/hostsfile"
)

// namesDir has the hosts files of LXC containers, by container ID, and the journal. It is on disk, because a container that is
// stopped keeps its file.
const namesDir = "/var/lib/patchbay/names"

// containerHosts is the first lines of the file of an LXC container: it is a machine of its own, and gets no lines of /etc/hosts.
const containerHosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"

// ContainerFile returns the path of the hosts file of an LXC container, which LXC mounts over the container's /etc/hosts.
func ContainerFile(id string) string { return filepath.Join(namesDir, id) }

// AddContainer creates the file of an LXC container; Sync writes it. It does nothing if the file exists.
func AddContainer(id string) error {
	// 0711: LXC mounts the file with the user IDs of an unprivileged container.
	const mode = 0o711
	if err := os.MkdirAll(namesDir, mode); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(namesDir), namesDir} {
		if err := os.Chmod(dir, mode); err != nil {
			return err
		}
	}
	content := hostsfile.Parse("").With(containerBody(&member{Key: Container(id)}, nil))
	err := hostsfile.Create(ContainerFile(id), content)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// RemoveContainer deletes the file of an LXC container. It returns nil if there is none.
func RemoveContainer(id string) error {
	err := os.Remove(ContainerFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_ = os.Remove(namesDir) // fails if it is not empty
	return err
}

// containers plans the files of LXC containers.
func (p *plan) containers() {
	entries, err := os.ReadDir(namesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.kept(namesDir, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			p.container(e.Name())
		}
	}
}

// container plans the file of one container.
func (p *plan) container(id string) {
	path := ContainerFile(id)
	content, err := hostsfile.Read(path)
	if err != nil {
		p.kept(path, err)
		return
	}
	text := hostsfile.Parse(content)
	if text.State == hostsfile.Edited {
		p.edited(path, keepLines)
		return
	}
	viewer := &member{Key: Container(id)}
	for _, m := range p.members {
		if m.Key == viewer.Key {
			viewer = m
		}
	}
	p.change(hostsfile.Change{Path: path, Old: content, New: text.With(containerBody(viewer, p)), Sync: true})
}

// containerBody returns the block of a container; p is nil if it shares no network with others.
func containerBody(viewer *member, p *plan) string {
	c := newComposer(taken{}.add(containerHosts))
	if len(viewer.has) == 0 {
		if hostsfile.Legal(viewer.Name) {
			c.lines.WriteString("127.0.1.1\t" + viewer.Name + "\n") // as Debian has it for a machine without a fixed address
		}
	} else if p != nil {
		c.seen(viewer, p.members)
		p.warnings = append(p.warnings, c.warnings...)
	}
	return containerHosts + namesComment + c.lines.String()
}
