package load

import (
	"fmt"
	"strings"
)

// network is the configuration of a network on a bridge, with more keys.
func network(name, bridge string, keys ...string) string {
	more := strings.Join(append([]string{""}, keys...), ", ")
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "type": "patchbay", "bridge": %q%s}`, name, bridge, more)
}

// pool is the section ipam with one set of one range for each subnet.
func pool(subnets ...string) string {
	return `"ipam": {"type": "patchbay", ` + ranges(subnets...) + `}`
}

// sticky is pool with addresses that come back to their owners.
func sticky(subnets ...string) string {
	return `"ipam": {"type": "patchbay", "sticky": true, ` + ranges(subnets...) + `}`
}

func ranges(subnets ...string) string {
	sets := make([]string, len(subnets))
	for i, subnet := range subnets {
		sets[i] = fmt.Sprintf(`[{"subnet": %q}]`, subnet)
	}
	return `"ranges": [` + strings.Join(sets, ", ") + `]`
}

const (
	gateway        = `"isGateway": true`
	defaultGateway = `"isDefaultGateway": true`
	masquerade     = `"ipMasq": true`
)

// publishing is a section runtimeConfig with one port of the host, of TCP and of UDP; hostIP may be
// empty.
func publishing(port int, hostIP string) []byte {
	var all []string
	for _, protocol := range []string{"tcp", "udp"} {
		all = append(all, fmt.Sprintf(`{"hostPort": %d, "containerPort": 80, "protocol": %q, "hostIP": %q}`, port, protocol, hostIP))
	}
	return []byte(`{"portMappings": [` + strings.Join(all, ", ") + `]}`)
}

// with is a configuration with one key more.
func with(config, key string, value []byte) []byte {
	return fmt.Appendf(nil, "%s, %q: %s}", strings.TrimSuffix(config, "}"), key, value)
}
