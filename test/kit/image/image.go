// Package image makes container images of busybox, because no test pulls one.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// entry is one file of an archive; a name that ends in a slash is a directory.
type entry struct {
	name string
	body []byte
	link string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.body)), Linkname: e.link, Typeflag: tar.TypeReg}
		switch {
		case e.link != "":
			h.Typeflag = tar.TypeSymlink
		case e.name[len(e.name)-1] == '/':
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Busybox returns the path of the static busybox that scripts/lib.sh unpacks: below /bin of its package, or below /usr/bin if / and /usr
// are merged. Without it the test skips, or fails in CI.
func Busybox(t testing.TB) string {
	t.Helper()
	top := filepath.Join(filepath.Dir(nettest.Program(t, "../pkg/containerd/usr/bin/containerd")), "../..")
	for _, path := range []string{"bin/busybox", "usr/bin/busybox"} {
		if _, err := os.Stat(filepath.Join(top, path)); err == nil {
			return filepath.Join(top, path)
		}
	}
	t.Fatal("no busybox in what was unpacked")
	return ""
}

// layer returns the root file system: the static busybox at a path, and the links that tests use.
func layer(t testing.TB, path string) []byte {
	t.Helper()
	busybox, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{{name: "bin/"}, {name: "bin/busybox", body: busybox}}
	for _, name := range []string{"sh", "mkdir", "hostname", "ip", "wget", "ping"} {
		entries = append(entries, entry{name: "bin/" + name, link: "busybox"})
	}
	for _, dir := range []string{"dev/", "etc/", "proc/", "sys/", "run/", "tmp/"} {
		entries = append(entries, entry{name: dir})
	}
	return archive(t, entries...)
}

// Docker returns an image in the format of `docker save`: its layer, its configuration and a manifest.
func Docker(t testing.TB, name string, command ...string) []byte {
	t.Helper()
	return DockerOf(t, Busybox(t), name, command...)
}

// DockerOf is Docker with another static busybox than that of Busybox.
func DockerOf(t testing.TB, busybox, name string, command ...string) []byte {
	t.Helper()
	root := layer(t, busybox)
	config := encode(t, map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Cmd": command},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(root))}},
	})
	manifest := encode(t, []map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	return archive(t, entry{name: "layer.tar", body: root}, entry{name: "config.json", body: config}, entry{name: "manifest.json", body: manifest})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
