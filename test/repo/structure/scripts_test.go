package structure

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// services are packages that start something at boot; a test that needs one unpacks it under .cache/ instead.
func services() []string {
	return []string{
		"containerd", "containerd.io", "cri-o", "dnsmasq", "docker-ce", "docker.io", "etcd-server", "firewalld", "incus", "libvirt-daemon-system",
		"lxc", "lxd", "network-manager", "openvswitch-switch", "podman", "radvd", "runc", "ufw",
	}
}

// installsService names each line of a script that installs a service or speaks to the init system.
// Unpacking one (apt-get download, dpkg -x) is allowed, and so is naming one in a comment.
func installsService(path, text string) []string {
	installer := regexp.MustCompile(`\b(apt|apt-get|aptitude|dnf|yum|apk|need_tools)\b`)
	download := regexp.MustCompile(`\b(apt|apt-get)\s+download\b`)
	initSystem := regexp.MustCompile(`(^|[;&|(]|as_root|sudo)\s*(systemctl|service|update-rc\.d)\s`)
	packageMap := regexp.MustCompile(`^\s*\S.*\)\s*echo\s`)
	service := regexp.MustCompile(`(^|[\s"'=])(` + strings.Join(quoted(services()), "|") + `)($|[\s"';)])`)
	comment := regexp.MustCompile(`(^|\s)#.*`)

	var bad []string
	number := 1
	for line := range strings.SplitSeq(joined(text), "\n") {
		code := comment.ReplaceAllString(line, "")
		brings := (installer.MatchString(code) && !download.MatchString(code)) || packageMap.MatchString(code)
		if m := service.FindStringSubmatch(code); brings && m != nil {
			bad = append(bad, fmt.Sprintf("%s:%d installs %s, which brings a service: download and unpack it under .cache/", path, number, m[2]))
		}
		if initSystem.MatchString(code) {
			bad = append(bad, fmt.Sprintf("%s:%d speaks to the init system", path, number))
		}
		number += 1 + strings.Count(line, continued)
	}
	return bad
}

// continued stands where joined has put two lines together.
const continued = " \x00"

// joined puts a command that goes over several lines on one.
func joined(text string) string { return strings.ReplaceAll(text, "\\\n", continued) }

func quoted(names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = regexp.QuoteMeta(n)
	}
	return all
}

// TestScriptsInstallNoService reads the Makefile, .ci/run and everything in scripts/.
//
// Claim: No script installs a service
func TestScriptsInstallNoService(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(top(t), "scripts", "*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 5 {
		t.Fatalf("found only %d scripts", len(paths))
	}
	for _, path := range append(paths, filepath.Join(top(t), "Makefile"), filepath.Join(top(t), ".ci", "run")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		report(t, installsService(filepath.Base(path), string(text)))
	}
}

// Claim: No script installs a service
func TestInstallsServiceFinds(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a plain tool", "apt-get install -y tcpdump", nil},
		{"a comment", "# apt-get install containerd is what we do not do", nil},
		{"a word in a message", `say "unlike docker.io and lxc, this is small"`, nil},
		{"download", "apt-get download containerd runc", nil},
		{"a service", "true\nas_root apt-get install -y tcpdump podman", []string{"x:2 installs podman, which brings a service: download and unpack it under .cache/"}},
		{"over two lines", "true\napt install \\\n  docker.io\nsystemctl start x", []string{
			"x:2 installs docker.io, which brings a service: download and unpack it under .cache/", "x:4 speaks to the init system",
		}},
		{"as a tool", "need_tools ip dnsmasq", []string{"x:1 installs dnsmasq, which brings a service: download and unpack it under .cache/"}},
		{"in the table of packages", "\t\tlxc-start) echo lxc ;;", []string{"x:1 installs lxc, which brings a service: download and unpack it under .cache/"}},
		{"a service by root", "as_root service docker start", []string{"x:1 speaks to the init system"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, installsService("x", tt.text)); diff != "" {
				t.Errorf("installsService (-want +got):\n%s", diff)
			}
		})
	}
}
