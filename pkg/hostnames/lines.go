package hostnames

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/hostsfile"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// The comments within the blocks. baseComment marks a file that Sync created, as opposed to a block in a file of the user.
const (
	baseComment  = "# lines of /etc/hosts:\n"
	namesComment = "# names of patchbay:\n"
)

// maxBase is the greatest size in bytes of the lines of /etc/hosts that are copied into the file of a namespace.
const maxBase = 64 << 10

// localhost is the lines of a file without others.
const localhost = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"

// Warning is a name that is left out, or a file that is kept as it is.
type Warning struct {
	Key  Key // of the name; zero for a file
	Text string
	Fix  string // what to do before reload repeats the change; "" for a name
}

// String returns the warning with its remedy.
func (w Warning) String() string {
	if w.Fix == "" {
		return w.Text
	}
	return w.Text + "; " + w.Fix + ", and run " + printable.Command("patchbay", "reload")
}

// taken is the names that lines have: their addresses, by folded name.
type taken map[string][]netip.Addr

// add adds the names of hosts(5) lines.
func (t taken) add(lines string) taken {
	for addr, name := range hostsfile.Names(lines) {
		name = hostsfile.Fold(name)
		t[name] = append(t[name], addr)
	}
	return t
}

// reserved reports whether a name means this host, whatever the hosts file has: nss-myhostname(8) and RFC 6761.
func reserved(name string) bool {
	name = hostsfile.Fold(name)
	own, _ := os.Hostname()
	own = hostsfile.Fold(own)
	short, _, _ := strings.Cut(own, ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || name == own || name == short
}

// notAName returns why a name cannot be in a hosts file that has other lines already, "" if it can.
func notAName(k Key, others taken, addresses []netip.Addr) string {
	name := printable.Name(k.Name)
	has := others[hostsfile.Fold(k.Name)]
	switch {
	case !hostsfile.Legal(k.Name):
		return fmt.Sprintf("%s is not a host name (letters, digits, dashes and dots, at most 63 bytes between dots, not a number at the end): no hosts file has it", name)
	case reserved(k.Name):
		return name + " is a name of this host: no hosts file has it for " + k.String()
	case len(has) > 0 && !slices.ContainsFunc(has, func(a netip.Addr) bool { return slices.Contains(addresses, a) }):
		return fmt.Sprintf("/etc/hosts has the name %s for %s already: no hosts file has it for %s", name, has[0], k.String())
	}
	return ""
}

// composer composes the block of one file.
type composer struct {
	others   taken          // names of lines outside the block, and of copied ones
	mine     map[string]Key // folded names that the block has
	warnings []Warning
	lines    strings.Builder
}

func newComposer(others taken) *composer {
	return &composer{others: others, mine: map[string]Key{}}
}

// name adds the lines of a name, unless it cannot be in the file or another member has it.
func (c *composer) name(k Key, addresses []netip.Addr) {
	if len(addresses) == 0 {
		return
	}
	if why := notAName(k, c.others, addresses); why != "" {
		c.warnings = append(c.warnings, Warning{Key: k, Text: why})
		return
	}
	folded := hostsfile.Fold(k.Name)
	if by, used := c.mine[folded]; used {
		c.warnings = append(c.warnings, Warning{Key: k, Text: fmt.Sprintf("%s and %s have the same name: hosts files have that of %s, which was attached first", k, by, by)})
		return
	}
	c.mine[folded] = k
	if len(c.others[folded]) > 0 {
		return // with the same address
	}
	for _, addr := range addresses {
		fmt.Fprintf(&c.lines, "%s\t%s\n", addr, k.Name)
	}
}

// seen adds the name of a member, and of all that share a network with it.
func (c *composer) seen(viewer *member, all []*member) {
	c.name(viewer.Key, viewer.addresses(nil))
	for _, m := range all {
		if m.Key != viewer.Key && m.shares(viewer) {
			c.name(m.Key, m.addresses(viewer))
		}
	}
}

// baseOf returns the lines to copy from /etc/hosts, of its text outside the block: those with names, and localhost.
func baseOf(outside string) string {
	var base strings.Builder
	if len(outside) <= maxBase {
		for line := range strings.Lines(outside) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				base.WriteString(line + "\n")
			}
		}
	}
	if len(taken{}.add(base.String())["localhost"]) == 0 {
		return localhost + base.String()
	}
	return base.String()
}
