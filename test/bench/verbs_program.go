package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/plugins/pkg/ns"
)

// conflist is the same for all: a bridge that is the default gateway, and addresses of a /16; more
// keys, and more ranges, for some.
const conflist = `{
  "cniVersion": "1.0.0",
  "name": "bench",
  "plugins": [{
    "type": %q,
    "bridge": "cni0",
    "isDefaultGateway": true,%s
    "ipam": {"type": %q, "ranges": [[{"subnet": "10.88.0.0/16"}]%s]}
  }]
}`

// network is what differs between contenders. Keys have a comma behind each, ranges one before each.
type network struct{ plugin, ipam, keys, ranges string }

func ours(keys, ranges string) network { return network{"patchbay", "patchbay", keys, ranges} }

func reference(keys, ranges string) network { return network{"bridge", "host-local", keys, ranges} }

// byLibcni calls plugins as containerd, CRI-O and Podman do.
func (p programs) byLibcni(n network) func(ns.NetNS) (verbs, error) {
	return func(host ns.NetNS) (verbs, error) {
		list, err := libcni.NetworkConfFromBytes(fmt.Appendf(nil, conflist, n.plugin, n.keys, n.ipam, n.ranges))
		if err != nil {
			return verbs{}, err
		}
		cni := libcni.NewCNIConfigWithCacheDir(p, cacheDir+"/"+filepath.Base(host.Path()), nil)
		return verbs{
			add: func(ctx context.Context, one container) error {
				_, err := cni.AddNetworkList(ctx, list, one.runtimeConf())
				return err
			},
			del: func(ctx context.Context, one container) error {
				return cni.DelNetworkList(ctx, list, one.runtimeConf())
			},
		}, nil
	}
}

func (c container) runtimeConf() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: c.id, NetNS: c.path, IfName: "eth0"}
}

// byExec starts a plugin the way libcni does, for the verb that does nothing.
func (p programs) byExec(plugin string) func(ns.NetNS) (verbs, error) {
	return func(ns.NetNS) (verbs, error) {
		program := p.path(plugin)
		version := func(ctx context.Context, _ container) error {
			_, err := new(invoke.RawExec).ExecPlugin(ctx, program, []byte(`{"cniVersion": "1.0.0"}`), []string{"CNI_COMMAND=VERSION"})
			return err
		}
		return verbs{add: version}, nil
	}
}
