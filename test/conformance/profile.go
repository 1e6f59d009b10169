package conformance

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Profile says how to configure a plugin. Sections of configuration are JSON merge patches (RFC 7396) of Network.
type Profile struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	// Network is the configuration of one network without cniVersion and name: a pool of at least 40 IPv4 addresses, no default route.
	Network conf `json:"network"`
	// Variants change Network: "defaultRoute", "dns", "dualStack" (IPv4 and IPv6), "masquerade", "otherPool" (disjoint addresses),
	// "route" (to 198.51.100.0/24), "smallPool" (at most 8 addresses), "unknownIPAM" (a delegated plugin that does not exist).
	Variants map[string]conf `json:"variants"`
	// Prepare are commands that run on the host before the first call.
	Prepare [][]string `json:"prepare"`
	// Bridge is the shared device on the host, if there is one. Attachments have host interfaces that are its ports.
	Bridge string `json:"bridge"`
	// HostInterface says that an attachment has an interface on the host.
	HostInterface bool `json:"hostInterface"`
	// Gateway says that the host has the gateway's address of the result.
	Gateway bool `json:"gateway"`
	// Peers says that containers of the network reach each other.
	Peers bool `json:"peers"`
	// Delegates says that the plugin runs another plugin, so that it needs CNI_PATH.
	Delegates bool `json:"delegates"`
	// Directories are where the plugin and the plugins that it runs keep files: below /run or /var/lib.
	Directories []string `json:"directories"`
	// Supports are capabilities ("ips", "mac", "portMappings", "bandwidth", "ipRanges"), fields of CNI_ARGS ("IP", "MAC")
	// and of args.cni ("args.ips") that the plugin itself acts on.
	Supports []string `json:"supports"`
	// Address is one that a container may request: of the pool, with its prefix length. Ranges is the value of ipRanges.
	Address string          `json:"address"`
	Ranges  json.RawMessage `json:"ranges"`
	// Known are failed checks with the reason, or the address of a report about it.
	Known map[string]string `json:"known"`
}

// conf is a JSON object.
type conf map[string]any

//go:embed profiles/*.json
var embedded embed.FS

// ProfileNames returns the names of the profiles that the program has.
func ProfileNames() []string {
	files, err := fs.Glob(embedded, "profiles/*.json")
	if err != nil {
		return nil
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".json")
	}
	return files
}

// LoadProfile reads a profile: one of ProfileNames, or a file.
func LoadProfile(name string) (*Profile, error) {
	read := os.ReadFile
	file := name
	if slices.Contains(ProfileNames(), name) {
		read, file = embedded.ReadFile, "profiles/"+name+".json"
	}
	text, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w (profiles of this program: %s)", err, strings.Join(ProfileNames(), ", "))
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	var p Profile
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return &p, p.check()
}

// variants are the names that Profile.Variants may have.
func variants() []string {
	return []string{"defaultRoute", "dns", "dualStack", "masquerade", "otherPool", "route", "smallPool", "unknownIPAM"}
}

// check reports a profile that no check could use.
func (p *Profile) check() error {
	if _, ok := p.Network["type"].(string); !ok {
		return fmt.Errorf("profile %s: network.type is not set", p.Name)
	}
	for _, v := range slices.Sorted(maps.Keys(p.Variants)) {
		if !slices.Contains(variants(), v) {
			return fmt.Errorf("profile %s: unknown variant %q, known are %s", p.Name, v, strings.Join(variants(), ", "))
		}
	}
	return nil
}

// has reports whether the profile has what a check needs: a variant, an entry of Supports, or a property.
func (p *Profile) has(need string) bool {
	switch need {
	case "bridge":
		return p.Bridge != ""
	case "hostInterface":
		return p.HostInterface
	case "gateway":
		return p.Gateway
	case "peers":
		return p.Peers
	case "noDelegate":
		return !p.Delegates
	case "ipam":
		return p.Network["ipam"] != nil
	case "directories":
		return len(p.Directories) > 0
	}
	_, variant := p.Variants[need]
	return variant || slices.Contains(p.Supports, need)
}

// merge applies a JSON merge patch: null removes a key. It changes neither argument.
func merge(base, patch conf) conf {
	out := maps.Clone(base)
	if out == nil {
		out = conf{}
	}
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(out, key)
		case conf:
			out[key] = merge(object(out[key]), value)
		case map[string]any:
			out[key] = merge(object(out[key]), value)
		default:
			out[key] = value
		}
	}
	return out
}

// object returns a value as an object, an empty one if it is none.
func object(value any) conf {
	switch value := value.(type) {
	case conf:
		return value
	case map[string]any:
		return value
	}
	return conf{}
}
