package reported

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// pictures returns the rows of case 38.
func pictures() []row {
	const kind = "shortened names stay different"
	deployment := func(i int) string { return fmt.Sprintf("checkout-frontend-7d4b9c8f6d-%05x", i*7919+65536) }
	return []row{
		{"38", "14 pods of a deployment in the picture", kind, pods(14, deployment, "show")},
		{"38.1", "5 pods in boxes", kind, pods(5, deployment, "show")},
		{"38.2", "14 pods on a narrow terminal", kind, pods(14, deployment, "show --width 40")},
		{"38.3", "names that differ in the middle", kind, pods(8, func(i int) string {
			return fmt.Sprintf("frontend-with-a-long-name-%02d-and-an-end-that-all-of-them-have", i)
		}, "show")},
		{"38.4", "names that differ at the beginning", kind, pods(8, func(i int) string { return fmt.Sprintf("%02d-and-an-end-that-is-long-and-that-all-of-them-have", i) }, "show")},
		{"38.5", "container IDs with a common prefix, in ls and ports", kind, idsThatBeginAlike},
	}
}

// pods attaches a number of containers, and requires as many different names in a picture, none of whose lines is too
// long.
func pods(count int, name func(i int) string, command string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		var calls []nettest.Call
		for i := range count {
			c := p.Container(fmt.Sprint("c", i))
			call := nettest.Call{
				Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=production;K8S_POD_NAME=" + name(i),
				Config: []byte(`{"cniVersion": "1.1.0", "name": "pods", "type": "patchbay", "bridge": "pods0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.9.0.0/24"}]]}}`),
			}
			p.CNI(t, call).OK(t)
			calls = append(calls, call)
		}
		picture := p.ok(strings.Fields(command)...)
		width := 80
		if words := strings.Fields(command); len(words) == 3 {
			width, _ = strconv.Atoi(words[2])
		}
		title := regexp.MustCompile(`(?:● |┌─ )(\S*…\S*|\S*\d\S*)`)
		seen := map[string]bool{}
		for line := range strings.Lines(picture) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns: %s", n, line)
			}
			for _, m := range title.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "…") {
					seen[m[1]] = true
				}
			}
		}
		if len(seen) != count {
			t.Errorf("%d names for %d pods: %v\n%s", len(seen), count, seen, picture)
		}
		for _, call := range calls {
			call.Command = "DEL"
			p.CNI(t, call).OK(t)
		}
	}
}

// idsThatBeginAlike: in tables such container IDs are longer than others.
func idsThatBeginAlike(t *testing.T) {
	p := newPerson(t)
	ids := []string{strings.Repeat("0123456789ab", 3) + "c" + strings.Repeat("0", 27), strings.Repeat("0123456789ab", 3) + "d" + strings.Repeat("0", 27), strings.Repeat("fedc", 16)}
	var calls []nettest.Call
	for i, id := range ids {
		c := p.Container(fmt.Sprint("c", i))
		call := nettest.Call{
			Command: "ADD", ContainerID: id, Netns: c.Path(), IfName: "eth0",
			Config: fmt.Appendf(nil, `{"cniVersion": "1.1.0", "name": "pods", "type": "patchbay", "bridge": "pods0", "isGateway": true, "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.9.0.0/24"}]]},
				"runtimeConfig": {"portMappings": [{"hostPort": %d, "containerPort": 80, "protocol": "tcp"}]}}`, 8080+i),
		}
		p.CNI(t, call).OK(t)
		calls = append(calls, call)
	}
	for _, command := range []string{"ls", "ports", "ls --width 40", "ports --width 40"} {
		names := map[string]bool{}
		for _, name := range regexp.MustCompile(`\b[0-9a-f]{12,}\b`).FindAllString(p.ok(strings.Fields(command)...), -1) {
			names[name] = true
		}
		if len(names) != len(ids) {
			t.Errorf("%s: %d names for %d containers: %v", command, len(names), len(ids), names)
		}
	}
	for _, call := range calls {
		call.Command = "DEL"
		p.CNI(t, call).OK(t)
	}
}
