package nodeconf

// Bridge is a bridge of attachments.
type Bridge struct {
	Name   string
	Ports  []string // host interfaces of the attachments
	IsOurs bool     // Patchbay created it; otherwise its configuration is the administrator's
	// Routed4 and Routed6 say that the host routes for its containers.
	Routed4, Routed6 bool
	// HostRoutes is the number of routes of the host to single containers.
	HostRoutes int
	// Dropped are the programs that drop packets of the bridge now, which is reported already.
	Dropped []string
}

// Host is what the configuration is compared with.
type Host struct {
	Root    string // the directory of all files but /proc; "" is /
	Bridges []Bridge
	Running func(program string) bool // nil: reads /proc
}

// Risk is what a program will undo.
type Risk struct {
	Program string
	Says    string   // what, and when: one sentence
	Seen    string   // file, line and text
	Fix     []string // lines for a shell; a line that begins with # is not a command
}

// program is a program that may undo Patchbay's work. It is active if it runs in this network namespace, or if systemd
// starts it at boot; "" for unit means that it is always.
type program struct {
	name  string // in messages
	comm  string // in /proc/PID/comm, 15 bytes at most
	unit  string
	check func(*look) []Risk
}

// table lists the programs.
func table() []program {
	return []program{
		{"systemd-networkd", "systemd-network", "systemd-networkd.service", networkd},
		{"systemd-networkd", "systemd-network", "systemd-networkd.service", foreignRoutes},
		{"NetworkManager", "NetworkManager", "NetworkManager.service", networkManager},
		{"nftables.service", "", "nftables.service", flushes},
		{"firewalld", "firewalld", "firewalld.service", firewalld},
		{"ufw", "", "", ufw},
		{"docker", "dockerd", "docker.service", docker},
		{"systemd-sysctl", "", "", sysctls},
		{"udev", "", "", linkFiles},
	}
}

// Risks returns what active programs will undo, in the order of the table. Files that do not exist or cannot be read are
// taken as empty: the configuration of another program is no fault.
func Risks(h Host) (all []Risk) {
	if h.Root == "" {
		h.Root = "/"
	}
	if h.Running == nil {
		h.Running = running()
	}
	l := &look{Host: h, files: map[string][]line{}}
	if len(h.Bridges) == 0 {
		return nil
	}
	for _, p := range table() {
		if !l.isActive(p) {
			continue
		}
		for _, r := range p.check(l) {
			r.Program = p.name
			all = append(all, r)
		}
	}
	return all
}

// routed reports whether the host routes for some bridge, for a family.
func (l *look) routed(is4 bool) bool {
	for _, b := range l.Bridges {
		if is4 && b.Routed4 || !is4 && b.Routed6 {
			return true
		}
	}
	return false
}
