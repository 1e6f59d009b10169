package nettest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Environment variables that say where programs are.
const (
	envBinary   = "PATCHBAY_BIN"       // the plugin under test
	envPrograms = "PATCHBAY_CACHE_BIN" // directory of fetched programs
)

// Patchbay returns the absolute path of the plugin under test: PATCHBAY_BIN,
// else bin/patchbay of the repository (`make build`), else one that is built
// now and remembered in PATCHBAY_BIN for the rest of the process.
func Patchbay(t testing.TB) string {
	t.Helper()
	path, err := findPatchbay()
	if err != nil {
		t.Fatalf("find the plugin under test: %v", err)
	}
	return path
}

func findPatchbay() (string, error) {
	if bin := os.Getenv(envBinary); bin != "" {
		return filepath.Abs(bin)
	}
	root, err := repoRoot()
	if err != nil {
		return "", err
	}
	if bin := filepath.Join(root, "bin", "patchbay"); executable(bin) {
		return bin, nil
	}
	return buildPatchbay(root)
}

// buildPatchbay builds the plugin into the user's cache, one process at a time.
// The go command itself knows whether there is anything to do.
func buildPatchbay(root string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "patchbay-nettest")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	if bin := os.Getenv(envBinary); bin != "" {
		return bin, nil // another test of this process has built it
	}
	bin := filepath.Join(dir, "patchbay")
	build := exec.Command(goCommand(), "build", "-trimpath", "-buildvcs=false", "-o", bin, "./plugins/patchbay")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, os.Setenv(envBinary, bin)
}

// goCommand finds Go also where sudo has dropped it from PATH.
func goCommand() string {
	if path, err := exec.LookPath("go"); err == nil {
		return path
	}
	return "/usr/local/go/bin/go"
}

// Program returns the absolute path of a program that the project's scripts
// fetch or build for tests: a reference plugin, cnitool. It is looked for in
// PATCHBAY_CACHE_BIN, else in .cache/bin of the repository. A test that lacks
// it is skipped, and fails in CI, as with Need.
func Program(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv(envPrograms)
	if dir == "" {
		root, err := repoRoot()
		if err != nil {
			t.Fatalf("find program %s: %v", name, err)
		}
		dir = filepath.Join(root, ".cache", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatalf("find program %s: %v", name, err)
	}
	if !executable(path) {
		missing(t, "program "+name, fmt.Errorf("%s is not there: `make test` fetches it", path))
	}
	return path
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// repoRoot returns the directory of the root module: above the working
// directory of the test, else above this source file.
func repoRoot() (string, error) {
	wd, _ := os.Getwd()
	_, source, _, _ := runtime.Caller(0)
	module := regexp.MustCompile(`(?m)^module github\.com/patchbay-cni/patchbay$`)
	for _, dir := range []string{wd, filepath.Dir(source)} {
		for ; filepath.IsAbs(dir); dir = filepath.Dir(dir) {
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && module.Match(bytes.TrimSpace(mod)) {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("no directory of module github.com/patchbay-cni/patchbay above the test: set " + envBinary + " and " + envPrograms)
}
