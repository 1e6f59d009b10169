package reported

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// docs returns the rows of case 43.
func docs() []row {
	const kind = "the pages describe this version"
	return []row{
		{"43", "the conflist for Kubernetes publishes host ports, as its page says", kind, kubernetesPublishes},
		{"43.1", "a key that a page calls unsupported is refused", kind, notBuiltIsRefused},
		{"43.2", "every key of the configuration reference is known", kind, keysAreKnown},
		{"43.3", "every command and flag that a page names exists", kind, commandsExist},
		{"43.4", "every file that a page links to exists", kind, linksLead},
	}
}

// pages returns the texts of the repository's pages by path, without those about other versions.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", ".cache"}, d.Name()):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md" && d.Name() != "CHANGELOG.md":
			text, err := os.ReadFile(path)
			all[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil || len(all) < 5 {
		t.Fatalf("%v, %d pages", err, len(all))
	}
	return all
}

func kubernetesPublishes(t *testing.T) {
	p := newPerson(t)
	expect.Contains(t, pages(t)["../../../docs/kubernetes.md"], "`hostPort` is published by this plugin")
	text, err := os.ReadFile("../../../conf/kubernetes/10-patchbay.conflist")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Plugins []map[string]any
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list.Plugins) != 1 {
		t.Fatalf("%v: %d plugins", err, len(list.Plugins))
	}
	conf := list.Plugins[0]
	conf["cniVersion"], conf["name"] = "1.0.0", "pods"
	conf["runtimeConfig"] = map[string]any{"portMappings": []map[string]any{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}}
	c := p.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: encoded(t, conf)}
	p.CNI(t, call).OK(t)
	expect.Contains(t, p.ok("ports", "8080/tcp"), "10.244.1.2:80", "ok")
	call.Command = "DEL"
	p.CNI(t, call).OK(t)
}

func encoded(t *testing.T, object any) []byte {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// notBuiltIsRefused: each such sentence names keys, and ADD refuses each with the code for unsupported keys.
func notBuiltIsRefused(t *testing.T) {
	p := newPerson(t)
	sentence := regexp.MustCompile(`(?i)[^.:|]*\b(not (yet )?(built|implemented|supported)( yet)?|are for iptables, and refused)\b[^.|]*`)
	key := regexp.MustCompile("`([A-Za-z0-9_.]+)`")
	found := 0
	for path, text := range pages(t) {
		for _, s := range sentence.FindAllString(text, -1) {
			if strings.HasPrefix(strings.TrimSpace(s), "as in the CNI specification") || strings.Contains(s, "key not supported") {
				continue // the name of the error's code
			}
			names := key.FindAllStringSubmatch(s, -1)
			if len(names) == 0 {
				t.Errorf("%s: %q names no key that could be tried", path, strings.TrimSpace(s))
			}
			for _, name := range names {
				found++
				p.refusesKey(path, name[1])
			}
		}
	}
	if found == 0 {
		t.Error("no page says what is not built: the sentence is no longer recognized")
	}
}

// refusesKey requires that ADD refuses a key with a value that requests something, as a key of the configuration or as
// a capability.
func (p *person) refusesKey(page, key string) {
	p.t.Helper()
	c := p.Container("x")
	defer c.Delete()
	for _, conf := range []map[string]any{{key: 7}, {"runtimeConfig": map[string]any{key: map[string]any{"ingressRate": 7}}}} {
		conf["cniVersion"], conf["name"], conf["type"], conf["bridge"] = "1.0.0", "net", "patchbay", "x0"
		answer := p.CNI(p.t, nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: encoded(p.t, conf)})
		if answer.Exit != 0 && answer.Error(p.t).Code == types.ErrUnsupportedField {
			return
		}
		p.CNI(p.t, nettest.Call{Command: "DEL", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: encoded(p.t, conf)})
	}
	p.t.Errorf("%s says that %s is not built, and ADD does not refuse it", page, key)
}

// keysAreKnown: if a key of the table has a value of the wrong type, the error names the key.
func keysAreKnown(t *testing.T) {
	p := newPerson(t)
	c := p.Container("x")
	line := regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\|")
	keys, _, _ := strings.Cut(pages(t)["../../../docs/configuration.md"], "\n## What the runtime passes")
	found := 0
	for _, row := range line.FindAllStringSubmatch(keys, -1) {
		found++
		p.knows(c, row[1])
	}
	if found < 40 {
		t.Errorf("only %d keys are in the table: it is no longer recognized", found)
	}
}

func (p *person) knows(c *nettest.Container, path string) {
	p.t.Helper()
	conf, key := wrongValue(path)
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: encoded(p.t, conf)}
	if strings.HasPrefix(path, "ipam.addresses") {
		call.Plugin = p.asStatic()
	}
	if answer := p.CNI(p.t, call); answer.Exit == 0 || !strings.Contains(string(answer.Stdout), key) {
		p.t.Errorf("docs/configuration.md has the key %s, and ADD does not know it: %s", path, answer)
	}
}

// asStatic returns a link to the program under the name of the IPAM plugin static, which alone knows ipam.addresses.
func (p *person) asStatic() string {
	p.t.Helper()
	link := filepath.Join(p.t.TempDir(), "static")
	if err := os.Symlink(nettest.Patchbay(p.t), link); err != nil {
		p.t.Fatal(err)
	}
	return link
}

// wrongValue returns a configuration whose key at a path of the table has a value of the wrong type, and that key.
func wrongValue(path string) (conf map[string]any, key string) {
	ipam := map[string]any{"type": "patchbay", "ranges": [][]map[string]any{{{"subnet": "10.9.0.0/24"}}}}
	conf = map[string]any{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "x0", "ipam": ipam}
	wrong := []any{map[string]any{"no": "such"}}
	parent, key := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, key = path[:i], path[i+1:]
	}
	switch {
	case path == "ipam.addresses":
		conf["type"], ipam["type"], ipam[key] = "ptp", "static", "no list"
	case parent == "ipam.addresses":
		conf["type"], ipam["type"], ipam["addresses"] = "ptp", "static", []map[string]any{{"address": "10.9.0.2/24", key: wrong}}
	case parent == "ipam.routes":
		ipam["routes"] = []map[string]any{{"dst": "10.0.0.0/8", key: wrong}}
	case parent == "ipam" && slices.Contains([]string{"subnet", "rangeStart", "rangeEnd", "gateway"}, key):
		ipam["ranges"] = [][]map[string]any{{{"subnet": "10.9.0.0/24", key: wrong}}}
	case parent == "ipam":
		ipam[key] = wrong
	case parent == "vlanTrunk":
		conf[parent] = []map[string]any{{key: wrong}}
	case parent != "":
		conf[parent] = map[string]any{key: wrong}
	default:
		conf[key] = wrong
	}
	return conf, key
}

// commandsExist checks each `patchbay COMMAND ... --flag` in code spans and blocks.
func commandsExist(t *testing.T) {
	p := newPerson(t)
	code := regexp.MustCompile("(?m)`[^`\n]+`|^(?:\\$ )?(?:sudo )?patchbay .*$")
	call := regexp.MustCompile(`(?:^|[\s(])patchbay ([a-z][a-z-]*)([^|;&#]*)`)
	flag := regexp.MustCompile(`(?:^|[\s\[])(--?[a-z][a-z-]*)`)
	help := map[string]string{}
	for path, text := range pages(t) {
		for _, span := range code.FindAllString(text, -1) {
			span = strings.Trim(span, "`")
			if strings.HasPrefix(span, "# ") { // a line of a file
				continue
			}
			for _, words := range call.FindAllStringSubmatch(span, -1) {
				command := words[1]
				if help[command] == "" {
					s := p.run("help", command)
					if s.exit != 0 {
						t.Errorf("%s names patchbay %s: %s", path, command, s.errors)
					}
					help[command] = s.out + " "
				}
				flags, _, _ := strings.Cut(words[2], " -- ")
				for _, f := range flag.FindAllStringSubmatch(flags, -1) {
					if !strings.Contains(help[command], f[1]) {
						t.Errorf("%s has patchbay %s %s, and help has no such flag", path, command, f[1])
					}
				}
			}
		}
	}
	if len(help) < 8 {
		t.Errorf("only %d commands are named: they are no longer recognized", len(help))
	}
}

// linksLead checks links within the repository.
func linksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	found := 0
	for path, text := range pages(t) {
		for _, to := range link.FindAllStringSubmatch(text, -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, to[1], err)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d links were found", found)
	}
}
