package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// NetnsFiles is the directory with the files that replace those of /etc in named network namespaces (ip-netns(8)).
const NetnsFiles = "/etc/netns"

// hostResolver is the file of the host's name servers.
const hostResolver = "/etc/resolv.conf"

// upstreamResolvers returns the files in which local resolvers on 127.0.0.0/8 keep the servers that they ask.
func upstreamResolvers() []string {
	return []string{"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"}
}

// Resolver is the content of a resolv.conf(5).
type Resolver struct {
	Path    string
	Servers []string // as written
	Other   []string // the other lines, without comments
}

// ReadResolver reads a resolv.conf(5). Errors are those of package safefile.
func ReadResolver(path string) (*Resolver, error) {
	text, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true})
	if err != nil {
		return nil, err
	}
	r := &Resolver{Path: path}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], ";"):
		case words[0] == "nameserver" && len(words) > 1:
			r.Servers = append(r.Servers, words[1])
		case words[0] == "search" || words[0] == "domain" || words[0] == "options" || words[0] == "sortlist":
			r.Other = append(r.Other, strings.Join(words, " "))
		}
	}
	return r, nil
}

// Usable returns the servers that another network namespace can reach.
func (r *Resolver) Usable() []string {
	return slices.DeleteFunc(slices.Clone(r.Servers), isLocal)
}

// isLocal reports whether an address means another server in another network namespace: a loopback address,
// the unspecified one, which means loopback, or a link-local one.
func isLocal(server string) bool {
	addr, err := netip.ParseAddr(server)
	if err != nil {
		return true // glibc ignores it
	}
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast()
}

// ResolverPath returns the path of the file that replaces /etc/resolv.conf in a named namespace (ip-netns(8)).
func ResolverPath(name string) string { return filepath.Join(NetnsFiles, name, "resolv.conf") }

// ResolverOf reads the file that a program in a named namespace sees under `ip netns exec`. Errors wrap
// os.ErrNotExist if there is none.
func ResolverOf(name string) (*Resolver, error) {
	r, err := ReadResolver(ResolverPath(name))
	if errors.Is(err, os.ErrNotExist) {
		return ReadResolver(hostResolver)
	}
	return r, err
}

// resolverHead returns the first line of a file of WriteResolver. It identifies the file and stays as it is.
func resolverHead(name string) string {
	return "# Written by patchbay up for the namespace " + name + "; patchbay down deletes it.\n"
}

// WriteResolver writes /etc/netns/NAME/resolv.conf if the host's name servers cannot be reached from a namespace,
// as a stub resolver on 127.0.0.53. The servers are those that the stub asks, else those of the network. A file
// that WriteResolver did not write stays. Errors contain the remedy.
func WriteResolver(name string, network []string) error {
	path, text, err := PlanResolver(name, network)
	if err != nil || text == "" {
		return err
	}
	if err := replaceResolver(path, text); err != nil {
		return fmt.Errorf("names cannot be resolved in %s: %w; %s has only servers of the host itself", name, err, hostResolver)
	}
	return nil
}

// PlanResolver returns the file that WriteResolver would write, "" if none, and changes nothing. Errors contain the remedy.
func PlanResolver(name string, network []string) (path, text string, err error) {
	host, err := ReadResolver(hostResolver)
	if err != nil || len(host.Servers) > 0 && len(host.Usable()) == len(host.Servers) {
		return "", "", nil //nolint:nilerr // `ip netns exec` cannot mount over a file that does not exist
	}
	path = ResolverPath(name)
	if _, err := os.Lstat(path); err == nil && !isOurResolver(name) {
		return "", "", nil
	}
	servers, other := host.reachable(network)
	if len(servers) == 0 {
		return "", "", fmt.Errorf("names cannot be resolved in %s: %s has only servers of the host itself (%s); write reachable servers to %s",
			name, hostResolver, strings.Join(host.Servers, ", "), path)
	}
	return path, resolverText(name, servers, other), nil
}

// resolverText returns the content of a file of WriteResolver. Its second line has a hash of the others, so that FreshResolver keeps a
// file that was edited by hand.
func resolverText(name string, servers, other []string) string {
	var lines strings.Builder
	for _, server := range servers {
		lines.WriteString("nameserver " + server + "\n")
	}
	for _, line := range other {
		lines.WriteString(line + "\n")
	}
	sum := sha256.Sum256([]byte(lines.String()))
	return resolverHead(name) + "# " + hex.EncodeToString(sum[:6]) + "\n" + lines.String()
}

// FreshResolver returns the content of the file that WriteResolver wrote for a namespace, and what it would write now, after the servers
// of the host have changed. Both are the same if there is no such file, it was edited by hand, or no server is known now.
func FreshResolver(name string) (old, fresh string) {
	if !config.ValidName(name) || !isOurResolver(name) {
		return "", ""
	}
	content, err := safefile.Read(ResolverPath(name), safefile.Rules{})
	if err != nil {
		return "", ""
	}
	old = string(content)
	was, err := ReadResolver(ResolverPath(name))
	if err != nil || resolverText(name, was.Servers, was.Other) != old {
		return old, old
	}
	host, err := ReadResolver(hostResolver)
	if err != nil {
		return old, old
	}
	servers, other := host.reachable(was.Servers)
	if len(servers) == 0 {
		return old, old
	}
	return old, resolverText(name, servers, other)
}

// OwnResolver returns the path of the file that WriteResolver wrote for a namespace; "" without one.
func OwnResolver(name string) string {
	if !config.ValidName(name) || !isOurResolver(name) {
		return ""
	}
	return ResolverPath(name)
}

// reachable returns servers that a namespace can reach, and the other lines of the file that has them.
func (r *Resolver) reachable(network []string) (servers, other []string) {
	if servers = r.Usable(); len(servers) > 0 {
		return servers, r.Other
	}
	for _, path := range upstreamResolvers() {
		upstream, err := ReadResolver(path)
		if err == nil && len(upstream.Usable()) > 0 {
			return upstream.Usable(), upstream.Other
		}
	}
	return (&Resolver{Servers: network}).Usable(), r.Other
}

// replaceResolver replaces a file that the caller knows to be one of WriteResolver.
func replaceResolver(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// isOurResolver reports whether WriteResolver wrote the file of a namespace.
func isOurResolver(name string) bool {
	text, err := safefile.Read(ResolverPath(name), safefile.Rules{})
	return err == nil && strings.HasPrefix(string(text), resolverHead(name))
}

// RemoveResolver deletes the file of WriteResolver, and its directory if that is empty.
func RemoveResolver(name string) error {
	if !config.ValidName(name) || !isOurResolver(name) {
		return nil
	}
	dir := filepath.Join(NetnsFiles, name)
	if err := os.Remove(filepath.Join(dir, "resolv.conf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete resolv.conf of namespace %s: %w", name, err)
	}
	_ = os.Remove(dir) // fails if it is not empty
	return nil
}
