package containerd

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// image is the sandbox image: a web server that sends the name of its sandbox.
const image = "patchbay.test/web:1"

// serve is the command of the sandbox. In a sandbox only /dev is writable.
const serve = "mkdir /dev/www && hostname >/dev/www/index.html && exec /bin/busybox httpd -f -p 80 -h /dev/www"

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

// busyboxPath returns the path of busybox in the package: /bin, or /usr/bin if / and /usr are merged.
func busyboxPath(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"bin/busybox", "usr/bin/busybox"} {
		if _, err := os.Stat(unpacked(t, path)); err == nil {
			return path
		}
	}
	t.Fatal("no busybox in what was unpacked")
	return ""
}

// layer returns the root file system: busybox, and the links that are used here.
func layer(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile(unpacked(t, busyboxPath(t)))
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{{name: "bin/"}, {name: "bin/busybox", body: busybox}}
	for _, name := range []string{"sh", "mkdir", "hostname", "ip", "wget"} {
		entries = append(entries, entry{name: "bin/" + name, link: "busybox"})
	}
	for _, dir := range []string{"dev/", "etc/", "proc/", "sys/", "run/", "tmp/"} {
		entries = append(entries, entry{name: dir})
	}
	return archive(t, entries...)
}

// dockerArchive returns an image in the format of `docker save`: its layer, its configuration and a manifest.
func dockerArchive(t testing.TB, name string, command ...string) []byte {
	t.Helper()
	root := layer(t)
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

// importImage imports the image into containerd, and waits until its CRI lists it.
func (n *node) importImage() {
	n.t.Helper()
	path := n.write("image.tar", string(dockerArchive(n.t, image, "/bin/sh", "-c", serve)))
	n.run("ctr", "-n", "k8s.io", "images", "import", path)
	n.await("aware of the image", func() (bool, error) {
		answer, err := n.cri.images.ImageStatus(n.context(), &criapi.ImageStatusRequest{Image: &criapi.ImageSpec{Image: image}})
		return answer.GetImage() != nil, err
	})
}
