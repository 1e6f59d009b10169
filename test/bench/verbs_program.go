package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/plugins/pkg/ns"
)

// conflist is the network of all contenders: a bridge that is the default gateway, and addresses of a /16. Some add keys, ranges and further
// plugins.
const conflist = `{
  "cniVersion": "1.0.0",
  "name": "bench",
  "plugins": [{
    "type": %q,
    "bridge": "cni0",
    "isDefaultGateway": true,%s
    "ipam": {"type": %q, "ranges": [[{"subnet": "10.88.0.0/16"}]%s]}
  }%s]
}`

// network is what differs between contenders. Each of keys ends with a comma; each of ranges and each plugin in chain begins with one.
type network struct {
	plugin, ipam, keys, ranges, chain string

	publishes bool // pass each container's ports
}

func ours(keys, ranges string) network {
	return network{plugin: "patchbay", ipam: "patchbay", keys: keys, ranges: ranges}
}

func reference(keys, ranges string) network {
	return network{plugin: "bridge", ipam: "host-local", keys: keys, ranges: ranges}
}

const (
	masqueradeKey    = `"ipMasq": true,`
	portsCapability  = `"capabilities": {"portMappings": true}`
	masqueradeWith   = masqueradeKey + ` "ipMasqBackend": %q,`
	publishedByChain = `, {"type": "portmap", "backend": %q, ` + portsCapability + `}`
)

// oursWithPorts returns the network of one plugin that does the same as the three of referenceWithPorts.
func oursWithPorts() network {
	n := ours(masqueradeKey+portsCapability+",", "")
	n.publishes = true
	return n
}

// referenceWithPorts returns the reference network with the same backend for masquerading and ports.
func referenceWithPorts(backend string) network {
	n := reference(fmt.Sprintf(masqueradeWith, backend), "")
	n.chain, n.publishes = fmt.Sprintf(publishedByChain, backend), true
	return n
}

// byLibcni calls plugins as containerd, CRI-O and Podman do.
func (p programs) byLibcni(n network) func(ns.NetNS) (verbs, error) {
	return func(host ns.NetNS) (verbs, error) {
		list, err := libcni.NetworkConfFromBytes(fmt.Appendf(nil, conflist, n.plugin, n.keys, n.ipam, n.ranges, n.chain))
		if err != nil {
			return verbs{}, err
		}
		cni := libcni.NewCNIConfigWithCacheDir(p, cacheDir+"/"+filepath.Base(host.Path()), nil)
		return verbs{
			add: func(ctx context.Context, one container) error {
				_, err := cni.AddNetworkList(ctx, list, n.runtimeConf(one))
				return err
			},
			del: func(ctx context.Context, one container) error {
				return cni.DelNetworkList(ctx, list, n.runtimeConf(one))
			},
		}, nil
	}
}

func (n network) runtimeConf(one container) *libcni.RuntimeConf {
	conf := one.runtimeConf()
	if n.publishes && len(one.ports) > 0 {
		conf.CapabilityArgs = map[string]any{"portMappings": one.ports}
	}
	return conf
}

func (c container) runtimeConf() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: c.id, NetNS: c.path, IfName: "eth0"}
}

// byExec starts a plugin as libcni does, for VERSION.
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
