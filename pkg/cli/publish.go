package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
)

// Mapping is one value of --publish, in the form of the capability portMappings.
type Mapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
	Range         int    `json:"range,omitempty"` // number of consecutive ports; 0 means 1

	word string // the value as given
	both bool   // it has a port of the container
}

// Mappings is the flag --publish, which may be repeated. It implements flag.Value.
type Mappings []Mapping

// String returns the values as given.
func (m *Mappings) String() string {
	var words []string
	for _, one := range *m {
		words = append(words, one.word)
	}
	return strings.Join(words, " ")
}

// Set adds one value, [hostIP:]hostPort[-end][:containerPort[-end]][/protocol] as docker has it.
func (m *Mappings) Set(word string) error {
	one, err := ParseMapping(word)
	if err == nil {
		*m = append(*m, one)
	}
	return err
}

// Flags returns the options for a shell command line.
func (m Mappings) Flags() string {
	var line strings.Builder
	for _, one := range m {
		word := one.word
		if strings.Contains(word, "[") { // which a shell expands to file names
			word = "'" + word + "'"
		}
		line.WriteString(" --publish " + word)
	}
	return line.String()
}

// String returns the mapping as `up` and `show` print it: "8080/tcp -> 80".
func (m Mapping) String() string {
	p := inventory.Port{HostIP: m.HostIP, HostPort: m.HostPort, Count: max(1, m.Range), Protocol: m.Protocol, ContainerPort: m.ContainerPort}
	return p.Mapping()
}

const publishForm = "[hostIP:]hostPort[-end][:containerPort[-end]][/tcp|udp|sctp]"

// ParseMapping parses one value of --publish. A missing container port is the host port; an IPv6 address is in
// brackets. Errors name the part that is invalid.
func ParseMapping(word string) (Mapping, error) {
	m := Mapping{word: word}
	rest, protocol, found := strings.Cut(word, "/")
	if m.Protocol = strings.ToLower(protocol); !found {
		m.Protocol = "tcp"
	}
	switch m.Protocol {
	case "tcp", "udp", "sctp":
	default:
		return m, fmt.Errorf("protocol %q is not tcp, udp or sctp", protocol)
	}
	rest, err := m.cutAddress(rest)
	if err != nil {
		return m, err
	}
	host, container, both := strings.Cut(rest, ":")
	if m.both = both; !both {
		container = host
	}
	if strings.Contains(container, ":") {
		return m, fmt.Errorf("too many colons: the form is %s, an IPv6 address in brackets", publishForm)
	}
	first, count, err := parseSpan(host, "host")
	if err != nil {
		return m, err
	}
	into, many, err := parseSpan(container, "container")
	if err != nil {
		return m, err
	}
	if count != many {
		return m, fmt.Errorf("%d host ports and %d container ports: their numbers have to be equal", count, many)
	}
	m.HostPort, m.ContainerPort = first, into
	if count > 1 {
		m.Range = count
	}
	return m, nil
}

// cutAddress splits off the host address, if there is one.
func (m *Mapping) cutAddress(rest string) (string, error) {
	text, bracketed := "", strings.HasPrefix(rest, "[")
	switch {
	case bracketed:
		inside, behind, closed := strings.Cut(rest[1:], "]:")
		if !closed {
			return "", fmt.Errorf("an IPv6 address in brackets needs a colon after it: the form is %s", publishForm)
		}
		text, rest = inside, behind
	case strings.Count(rest, ":") == 2:
		text, rest, _ = strings.Cut(rest, ":")
	case strings.Count(rest, ":") == 1 && strings.Contains(rest[:strings.IndexByte(rest, ':')], "."):
		text, rest, _ = strings.Cut(rest, ":")
	default:
		return rest, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is6() != bracketed {
		return "", fmt.Errorf("host address %q is not an IP address", text)
	}
	m.HostIP = addr.String()
	return rest, nil
}

// parseSpan parses "80" or "8000-8099" into the first port and the number of ports; end is host or container.
func parseSpan(text, end string) (first, count int, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	if text == "" {
		return 0, 0, fmt.Errorf("%s port missing: the form is %s", end, publishForm)
	}
	last := 0
	for _, part := range []struct {
		text string
		into *int
	}{{from, &first}, {to, &last}} {
		n, err := strconv.ParseUint(part.text, 10, 16)
		if err != nil || n == 0 {
			return 0, 0, fmt.Errorf("%s port %q is not a number from 1 to 65535", end, part.text)
		}
		*part.into = int(n)
	}
	if last < first {
		return 0, 0, fmt.Errorf("port range %s ends before it begins", text)
	}
	return first, last - first + 1, nil
}

// ParsePort parses the argument of `ports`: "8080" or "8080/udp"; protocol is "" for any.
func ParsePort(word string) (port int, protocol string, err error) {
	number, protocol, found := strings.Cut(word, "/")
	protocol = strings.ToLower(protocol)
	if found && !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return 0, "", fmt.Errorf("protocol %q is not tcp, udp or sctp", protocol)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return 0, "", fmt.Errorf("port %q is not a number from 1 to 65535, which /tcp, /udp or /sctp may follow", word)
	}
	return int(n), protocol, nil
}

// Publish adds ports to the network's configuration as a runtime does for the capability portMappings, and checks
// that ADD accepts them. Errors name the value of --publish.
func (n *Network) Publish(ports Mappings) error {
	if len(ports) == 0 {
		return nil
	}
	if err := n.give(ports); err != nil {
		return err
	}
	cfg, err := config.Called{}.Parse(n.Config, "")
	if err != nil {
		return ports.named("--publish", err)
	}
	for _, p := range cfg.Publish.Unused { // a runtime gets a warning only
		return fmt.Errorf("--publish %s %s; %s", ports[p.Index].word, p.Why, p.Fix)
	}
	return nil
}

// give adds ports to the network's configuration.
func (n *Network) give(ports Mappings) error {
	conf := map[string]json.RawMessage{}
	if err := json.Unmarshal(n.Config, &conf); err != nil {
		return err
	}
	runtime := map[string]json.RawMessage{}
	if given := conf["runtimeConfig"]; given != nil {
		if err := json.Unmarshal(given, &runtime); err != nil {
			return fmt.Errorf("network %s: runtimeConfig: %w", n.Name, err)
		}
	}
	var err error
	if runtime["portMappings"], err = json.Marshal(ports); err != nil {
		return err
	}
	if conf["runtimeConfig"], err = json.Marshal(runtime); err != nil {
		return err
	}
	n.Config, err = json.Marshal(conf)
	return err
}

// Publication returns the request that publishes ports of an attachment. Options of published ports are read from the network's configuration
// in dir; if the file was deleted, they are the defaults. Errors name the port.
func Publication(a *inventory.Attachment, dir string, ports Mappings) (attach.Request, error) {
	req := Removal(a, dir)
	n := &Network{Name: a.Network, Config: req.Config}
	if err := n.give(ports); err != nil {
		return req, err
	}
	cfg, err := config.ParsePortmap(n.Config)
	if err != nil {
		return req, ports.named("port", err)
	}
	for _, p := range cfg.Publish.Unused {
		return req, fmt.Errorf("port %s %s; %s", ports[p.Index].word, p.Why, p.Fix)
	}
	req.Config = n.Config
	return req, nil
}

// ParsePublished parses an argument of `ports rm`: [hostIP:]hostPort[-end][/tcp|udp|sctp]. Errors name the part that is invalid.
func ParsePublished(word string) (config.PortMapping, error) {
	m, err := ParseMapping(word)
	if err != nil {
		return config.PortMapping{}, err
	}
	if m.both {
		return config.PortMapping{}, fmt.Errorf("port %s: leave the port of the container out: the form is [hostIP:]hostPort[-end][/tcp|udp|sctp]", word)
	}
	p := config.PortMapping{Protocol: m.Protocol, HostPort: uint16(m.HostPort), Count: max(1, m.Range)}
	if m.HostIP != "" {
		p.HostIP = netip.MustParseAddr(m.HostIP) // which ParseMapping formatted
	}
	return p, nil
}

// named turns an error of runtimeConfig.portMappings into one of what the mappings are called, such as --publish.
func (m Mappings) named(called string, err error) error {
	const key = "runtimeConfig.portMappings"
	var e *config.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Msg, key) {
		return err
	}
	rest := e.Msg[len(key):]
	what, why, _ := strings.Cut(rest, ": ")
	for i, one := range m {
		if strings.HasPrefix(what, fmt.Sprintf("[%d]", i)) {
			return fmt.Errorf("%s %s: %s; %s", called, one.word, why, e.Details)
		}
	}
	return fmt.Errorf("%s: %s; %s", called, why, e.Details)
}
