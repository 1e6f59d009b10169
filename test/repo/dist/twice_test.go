package dist

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// builder is another directory in which the same commit is checked out.
type builder struct {
	tree, dir string
}

// clone returns a clone of the repository with the changes of its work tree, and with the tools that scripts/test.sh has built.
func clone(t *testing.T) *builder {
	t.Helper()
	from, err := filepath.Abs("../../..")
	check(t, err)
	b := &builder{tree: filepath.Join(t.TempDir(), "a longer name", "patchbay"), dir: t.TempDir()}
	check(t, os.WriteFile(filepath.Join(b.dir, "gitconfig"), []byte("[safe]\n\tdirectory = *\n"), 0o600))
	const copyTree = `set -e
git clone --quiet --no-hardlinks "$0" "$1"
git -C "$0" ls-files -z --cached --others --exclude-standard | (cd "$0" && tar -c --null --ignore-failed-read -T -) | tar -x -C "$1"
git -C "$0" ls-files -z --deleted | (cd "$1" && xargs -r -0 rm -f)
mkdir -p "$1/.cache/bin" "$1/.cache/stamp"
cp "$2/nfpm" "$2/cyclonedx-gomod" "$2/image" "$1/.cache/bin/"
cp "$2/../stamp/dist" "$1/.cache/stamp/"`
	b.run(t, nil, "sh", "-c", copyTree, from, b.tree, filepath.Dir(nettest.Program(t, "nfpm")))
	return b
}

// run runs a program that must succeed.
func (b *builder) run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(b.dir, "gitconfig"), "PATH="+os.Getenv("PATH")+":"+filepath.Dir(goCommand()))
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// moduleCache returns the modules that `go mod download` has fetched.
func moduleCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(goCommand(), "env", "GOMODCACHE").Output()
	check(t, err)
	return cmp.Or(os.Getenv("PATCHBAY_GOMODCACHE"), strings.TrimSpace(string(out)))
}

// TestTwice: the release is built again, in a longer directory, with another umask, time zone, language and home, nothing that was compiled before, in a
// namespace without a network. All bytes and modes are equal.
//
// Claim: Two builds of a release are equal in every byte, whatever directory, umask, time zone, language and home
// Claim: After `go mod download` a release is built without a network
func TestTwice(t *testing.T) {
	first := release.Dir(t)
	b := clone(t)
	second := filepath.Join(b.dir, "out")
	env := []string{
		"VERSION=v" + release.Version, "DIST=" + second, "HOME=" + b.dir, "GOCACHE=" + filepath.Join(b.dir, "gocache"), "GOMODCACHE=" + moduleCache(t),
		"GOPROXY=off", "GOFLAGS=-mod=mod", "TZ=Asia/Kathmandu", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "GOEXPERIMENT=", "GOAMD64=v3",
	}
	b.run(t, env, "unshare", "--net", "sh", "-c", `umask 077 && exec "$0/scripts/dist.sh"`, b.tree)
	_, want := files(t, first)
	_, got := files(t, second)
	expect.Equal(t, "files of two builds", got, want)
}
