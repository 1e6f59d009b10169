package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// Mapping is what one --publish says, as a runtime passes it in portMappings.
type Mapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
	Range         int    `json:"range,omitempty"` // how many follow each other; 0 means 1

	word string // what the person wrote
}

// Mappings are a flag that can be given several times: --publish.
type Mappings []Mapping

// String is what was written, for package flag.
func (m *Mappings) String() string {
	var words []string
	for _, one := range *m {
		words = append(words, one.word)
	}
	return strings.Join(words, " ")
}

// Set adds one of [hostIP:]hostPort[-end][:containerPort[-end]][/protocol], as docker has it.
func (m *Mappings) Set(word string) error {
	one, err := ParseMapping(word)
	if err == nil {
		*m = append(*m, one)
	}
	return err
}

// Flags are what a shell makes of the same words again.
func (m Mappings) Flags() string {
	var line strings.Builder
	for _, one := range m {
		word := one.word
		if strings.Contains(word, "[") { // which a shell would look for among its files
			word = "'" + word + "'"
		}
		line.WriteString(" --publish " + word)
	}
	return line.String()
}

// String is a mapping as `up` and `show` tell it: "8080/tcp -> 80".
func (m Mapping) String() string {
	p := Port{HostIP: m.HostIP, HostPort: m.HostPort, Count: max(1, m.Range), Protocol: m.Protocol, ContainerPort: m.ContainerPort}
	return p.Where() + " -> " + span(p.ContainerPort, p.Count)
}

const publishForm = "[hostIP:]hostPort[-end][:containerPort[-end]][/tcp|udp|sctp]"

// ParseMapping reads one word of --publish. Without a container's port it is the host's; an IPv6
// address stands in brackets. Errors say what is wrong with which part.
func ParseMapping(word string) (Mapping, error) {
	m := Mapping{word: word}
	rest, protocol, told := strings.Cut(word, "/")
	if m.Protocol = strings.ToLower(protocol); !told {
		m.Protocol = "tcp"
	}
	switch m.Protocol {
	case "tcp", "udp", "sctp":
	default:
		return m, fmt.Errorf("%q is no protocol: it is tcp, udp or sctp", protocol)
	}
	rest, err := m.cutAddress(rest)
	if err != nil {
		return m, err
	}
	host, container, both := strings.Cut(rest, ":")
	if !both {
		container = host
	}
	if strings.Contains(container, ":") {
		return m, fmt.Errorf("too many colons: want %s, an IPv6 address within brackets", publishForm)
	}
	first, count, err := parseSpan(host, "the host")
	if err != nil {
		return m, err
	}
	into, many, err := parseSpan(container, "the container")
	if err != nil {
		return m, err
	}
	if count != many {
		return m, fmt.Errorf("%d ports of the host and %d of the container: give as many of both", count, many)
	}
	m.HostPort, m.ContainerPort = first, into
	if count > 1 {
		m.Range = count
	}
	return m, nil
}

// cutAddress takes the host's address off, if there is one.
func (m *Mapping) cutAddress(rest string) (string, error) {
	text, bracketed := "", strings.HasPrefix(rest, "[")
	switch {
	case bracketed:
		inside, behind, closed := strings.Cut(rest[1:], "]:")
		if !closed {
			return "", fmt.Errorf("an IPv6 address stands in brackets before a colon: want %s", publishForm)
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
		return "", fmt.Errorf("%q is no IP address of the host", text)
	}
	m.HostIP = addr.String()
	return rest, nil
}

// parseSpan reads "80" or "8000-8099", the first port and how many.
func parseSpan(text, whose string) (first, count int, err error) {
	begin, end, ranged := strings.Cut(text, "-")
	if !ranged {
		end = begin
	}
	if text == "" {
		return 0, 0, fmt.Errorf("the port of %s is missing: want %s", whose, publishForm)
	}
	last := 0
	for _, part := range []struct {
		text string
		into *int
	}{{begin, &first}, {end, &last}} {
		n, err := strconv.ParseUint(part.text, 10, 16)
		if err != nil || n == 0 {
			return 0, 0, fmt.Errorf("%q is no port of %s: give a number from 1 to 65535", part.text, whose)
		}
		*part.into = int(n)
	}
	if last < first {
		return 0, 0, fmt.Errorf("%s ends before it begins", text)
	}
	return first, last - first + 1, nil
}

// Publish gives a network's configuration what a runtime passes for the capability portMappings, and
// sees that an ADD would take it. Errors name what was written.
func (n *Network) Publish(ports Mappings) error {
	if len(ports) == 0 {
		return nil
	}
	conf := map[string]json.RawMessage{}
	if err := json.Unmarshal(n.Config, &conf); err != nil {
		return err
	}
	runtime := map[string]json.RawMessage{}
	if told := conf["runtimeConfig"]; told != nil {
		if err := json.Unmarshal(told, &runtime); err != nil {
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
	if n.Config, err = json.Marshal(conf); err != nil {
		return err
	}
	if _, err = (config.Called{}).Parse(n.Config, ""); err != nil {
		return ports.named(err)
	}
	return nil
}

// named is an error of a configuration in the words of who wrote --publish.
func (m Mappings) named(err error) error {
	const key = "runtimeConfig.portMappings"
	var e *config.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Msg, key) {
		return err
	}
	rest := e.Msg[len(key):]
	what, why, _ := strings.Cut(rest, ": ")
	for i, one := range m {
		if strings.HasPrefix(what, fmt.Sprintf("[%d]", i)) {
			return fmt.Errorf("--publish %s: %s; %s", one.word, why, e.Details)
		}
	}
	return fmt.Errorf("--publish: %s; %s", why, e.Details)
}
