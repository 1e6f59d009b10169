package doctor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// dns reports named namespaces whose resolv.conf has only servers that they cannot reach, and files of `patchbay up` with
// servers that the host does not use any more. A server that cannot be reached beside others is a note: programs wait for it.
func (x *examination) dns() (found []Finding, err error) {
	seen := map[string]bool{}
	for _, r := range x.live {
		name := netnsName(r.Netns)
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		resolver, failed := resolverOf(r, name)
		if errors.Is(failed, os.ErrNotExist) {
			continue // without one, no name server is expected
		}
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		if f, is := unreachable(name, resolver); is {
			found = append(found, f)
		} else if f, is := outdated(name, resolver); is {
			found = append(found, f)
		} else if bad := len(resolver.Servers) - len(resolver.Usable()); bad > 0 {
			x.remarks = append(x.remarks, fmt.Sprintf("namespace %s cannot reach %d of its %d name servers, on loopback or link-local addresses of the host: programs wait for it (%s)", name, bad, len(resolver.Servers), resolver.Path))
		}
	}
	return alike(found), err
}

// resolverOf returns the resolv.conf of a named namespace. The host's file counts for those of commands only: a runtime
// gives its containers one of their own.
func resolverOf(r *store.Record, name string) (*cli.Resolver, error) {
	if r.Owner == store.OwnerCLI {
		return cli.ResolverOf(name)
	}
	return cli.ReadResolver(cli.ResolverPath(name))
}

func unreachable(name string, resolver *cli.Resolver) (Finding, bool) {
	if len(resolver.Usable()) > 0 {
		return Finding{}, false
	}
	f := Finding{
		Says: fmt.Sprintf("names cannot be resolved in namespace %s: its name servers are loopback or link-local addresses of the host", name),
		Seen: fmt.Sprintf("%s has only servers of the host itself: %s", resolver.Path, strings.Join(resolver.Servers, ", ")),
		Fix:  []string{"# write reachable servers to " + cli.ResolverPath(name) + ", which ip netns exec uses"},
	}
	if len(resolver.Servers) == 0 {
		f.Says = fmt.Sprintf("names cannot be resolved in namespace %s: it has no name server, which means a loopback address", name)
		f.Seen = resolver.Path + " has no name server"
	}
	return f, true
}

// outdated reports a file of `patchbay up` that differs from what it would write now.
func outdated(name string, resolver *cli.Resolver) (Finding, bool) {
	old, fresh := cli.FreshResolver(name)
	if old == fresh {
		return Finding{}, false
	}
	return Finding{
		Says: fmt.Sprintf("names may not be resolved in namespace %s: the host uses other name servers than when patchbay up wrote its resolv.conf", name),
		Seen: fmt.Sprintf("%s has %s", resolver.Path, strings.Join(resolver.Servers, ", ")),
		Fix:  []string{"patchbay reload"},
	}, true
}
