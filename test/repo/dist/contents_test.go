package dist

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// arches returns the architectures by the names that dpkg and rpm have for them.
func arches() map[string]string { return map[string]string{"amd64": "x86_64", "arm64": "aarch64"} }

func debOf(t testing.TB, program, arch string) string {
	t.Helper()
	return release.Path(t, program+"_0.2.0_"+arch+".deb")
}

func rpmOf(t testing.TB, program, arch string) string {
	t.Helper()
	return release.Path(t, program+"-0.2.0-1."+arches()[arch]+".rpm")
}

// output runs a program that must succeed.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

// contentOfDeb describes each file of a .deb by its path: mode, owner, and the hash or the target of a link.
func contentOfDeb(t testing.TB, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	r := tar.NewReader(strings.NewReader(output(t, "dpkg-deb", "--fsys-tarfile", path)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		check(t, err)
		text := fmt.Sprintf("%s %s:%s", h.FileInfo().Mode(), h.Uname, h.Gname)
		switch h.Typeflag {
		case tar.TypeSymlink:
			text = "link of " + h.Uname + ":" + h.Gname + " -> " + h.Linkname
		case tar.TypeReg:
			content, err := io.ReadAll(r)
			check(t, err)
			sum := sha256.Sum256(content)
			text += " " + hex.EncodeToString(sum[:])
		}
		all["/"+strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")] = text
	}
}

// contentOfRPM describes the same of an .rpm.
func contentOfRPM(t testing.TB, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	const format = `[%{FILENAMES}|%{FILEMODES:perms}|%{FILEUSERNAME}:%{FILEGROUPNAME}|%{FILELINKTOS}|%{FILEDIGESTS}\n]`
	for line := range strings.Lines(output(t, nettest.Program(t, "rpm"), "-qp", "--queryformat", format, path)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		switch f[1][0] {
		case 'l':
			all[f[0]] = "link of " + f[2] + " -> " + f[3]
		default:
			all[f[0]] = strings.TrimSpace(f[1] + " " + f[2] + " " + f[4])
		}
	}
	return all
}

// queryRPM returns tags of an .rpm.
func queryRPM(t testing.TB, path, format string) string {
	t.Helper()
	return output(t, nettest.Program(t, "rpm"), "-qp", "--queryformat", format, path)
}

// TestContents: the files of the .deb are those of testdata/files.txt, which PATCHBAY_UPDATE=1 writes anew, a manual page of each command, and each file of
// conf/ as an example.
//
// Claim: The packages install the program in /opt/cni/bin with a link in /usr/bin, a manual page for each command, and completions for bash, zsh and fish
func TestContents(t *testing.T) {
	for arch := range arches() {
		content := contentOfDeb(t, debOf(t, "patchbay", arch))
		var fixed strings.Builder
		var pages, examples []string
		for _, path := range slices.Sorted(maps.Keys(content)) {
			command, isPage := strings.CutPrefix(path, "/usr/share/man/man1/patchbay-")
			name, isExample := strings.CutPrefix(path, "/usr/share/doc/patchbay/examples/")
			switch {
			case isPage:
				pages = append(pages, strings.TrimSuffix(command, ".1.gz"))
			case isExample && strings.HasSuffix(name, ".conflist"):
				examples = append(examples, name)
			default:
				fmt.Fprintf(&fixed, "%s %s\n", path, withoutHash(content[path]))
			}
		}
		slices.Sort(pages)
		expect.Equal(t, "manual pages", pages, commands(t))
		expect.Equal(t, "examples", examples, confs(t))
		listed(t, "files.txt", fixed.String())
	}
	_, sums := files(t, release.Dir(t))
	sum, _, _ := strings.Cut(sums["patchbay-0.2.0-linux-amd64"], " ")
	expect.Equal(t, "program", contentOfDeb(t, debOf(t, "patchbay", "amd64"))["/opt/cni/bin/patchbay"], "-rwxr-xr-x root:root "+sum)
}

// listed compares with the list, or writes it.
func listed(t *testing.T, name, got string) {
	t.Helper()
	list := filepath.Join("testdata", name)
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		check(t, os.WriteFile(list, []byte(got), 0o644))
	}
	want, err := os.ReadFile(list)
	check(t, err)
	expect.Equal(t, "files", got, string(want))
}

// withoutHash returns a description without the hash at its end.
func withoutHash(text string) string {
	if mode, rest, ok := strings.Cut(text, " root:root "); ok && len(rest) == hex.EncodedLen(sha256.Size) {
		return mode + " root:root"
	}
	return text
}

// commands returns the commands that patchbay(1) lists.
func commands(t testing.TB) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^\.BR patchbay\\-(\S+) \(1\)$`).FindAllStringSubmatch(output(t, nettest.Patchbay(t), "help", "--man"), -1) {
		names = append(names, strings.ReplaceAll(m[1], `\`, ""))
	}
	slices.Sort(names)
	return names
}

// confs returns the names of the configurations of the repository.
func confs(t testing.TB) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("../../../conf/*.conflist")
	check(t, err)
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// TestSamePackages: the .rpm has what the .deb has, with the same modes, owners, links and bytes, but for the directory of zsh; and its scriptlets are the
// same text.
//
// Claim: The .deb and the .rpm have the same files, modes, owners, links and scripts
func TestSamePackages(t *testing.T) {
	for arch := range arches() {
		for _, program := range programs() {
			t.Run(program+" "+arch, func(t *testing.T) { samePackages(t, debOf(t, program, arch), rpmOf(t, program, arch)) })
		}
	}
}

func samePackages(t *testing.T, debPath, rpmPath string) {
	t.Helper()
	deb, rpm := contentOfDeb(t, debPath), contentOfRPM(t, rpmPath)
	const debian, fedora = "/usr/share/zsh/vendor-completions", "/usr/share/zsh/site-functions"
	if text, has := deb[debian+"/_patchbay"]; has {
		deb[fedora+"/_patchbay"] = text
		delete(deb, debian+"/_patchbay")
	}
	for path, text := range deb {
		if _, packed := rpm[path]; !packed && strings.HasPrefix(text, "drwxr-xr-x root:root") {
			delete(deb, path) // the .rpm has no directories of other packages
		}
	}
	delete(deb, filepath.Dir(debian))
	delete(rpm, filepath.Dir(fedora))
	delete(rpm, fedora)
	expect.Equal(t, "content", rpm, deb)
	control := t.TempDir()
	output(t, "dpkg-deb", "--control", debPath, control)
	for script, tag := range map[string]string{"postinst": "POSTIN", "prerm": "PREUN", "postrm": "POSTUN"} {
		text, err := os.ReadFile(filepath.Join(control, script))
		check(t, err)
		expect.Equal(t, script, queryRPM(t, rpmPath, "%{"+tag+"}"), string(text))
		expect.Equal(t, "program of "+script, queryRPM(t, rpmPath, "%{"+tag+"PROG}")+"\n", "/bin/sh\n")
	}
	expect.Equal(t, "other scripts of the .rpm", queryRPM(t, rpmPath, "%{PREIN} %{PRETRANS} %{POSTTRANS} %{VERIFYSCRIPT} %{TRIGGERSCRIPTS} %{FILETRIGGERSCRIPTS} %{TRANSFILETRIGGERSCRIPTS}"),
		"(none) (none) (none) (none) (none) (none) (none)")
	expect.Equal(t, "configurations, ghosts and the like of the .rpm", queryRPM(t, rpmPath, "[%{FILEFLAGS:fflags}]"), "")
}

// TestControl: the fields of the .deb; what depends on nothing and conflicts with nothing has no such field.
//
// Claim: The .deb depends on no other package, conflicts with none, and has no conffile
// Claim: The packages of patchbay-lan depend on patchbay and on nothing else, and have no conffile
func TestControl(t *testing.T) {
	for arch := range arches() {
		control(t, "patchbay", arch, "", "Description: CNI plugin that connects containers to Linux bridges")
		control(t, "patchbay-lan", arch, "patchbay", "Description: unique container addresses for many hosts on one LAN")
	}
}

// control requires these fields of a package, and no other.
func control(t *testing.T, program, arch, depends, description string) {
	t.Helper()
	path, requires := debOf(t, program, arch), ""
	want := []string{
		"Package: " + program, "Version: 0.2.0", "Section: net", "Priority: optional", "Architecture: " + arch, "Maintainer: Patchbay maintainers <maintainers@patchbay-cni.org>",
	}
	if depends != "" {
		want, requires = append(want, "Depends: "+depends), depends+"\n"
	}
	want = append(want, "Homepage: https://github.com/patchbay-cni/patchbay", description)
	var got []string
	for line := range strings.Lines(output(t, "dpkg-deb", "--field", path)) {
		if field, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && line[0] != ' ' && field != "Installed-Size" {
			got = append(got, field+": "+value)
		}
	}
	expect.Equal(t, "fields", got, want)
	dir := t.TempDir()
	output(t, "dpkg-deb", "--control", path, dir)
	names, _ := files(t, dir)
	expect.Equal(t, "control files", names, []string{"control", "md5sums", "postinst", "postrm", "prerm"})
	expect.Equal(t, "requirements of the .rpm", output(t, nettest.Program(t, "rpm"), "-qp", "--requires", rpmOf(t, program, arch)), requires)
}
