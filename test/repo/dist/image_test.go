package dist

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// layoutOf returns the files of an OCI layout.
func layoutOf(t testing.TB, path string) map[string][]byte {
	t.Helper()
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	return untar(t, file)
}

func untar(t testing.TB, from io.Reader) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		check(t, err)
		text, err := io.ReadAll(r)
		check(t, err)
		all[h.Name] = text
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s is owned by %d:%d", h.Name, h.Uid, h.Gid)
		}
	}
}

// descriptor and manifest are the parts of the OCI image specification that the test reads.
type descriptor struct {
	MediaType, Digest string
	Size              int64
	Platform          struct{ OS, Architecture string }
	Annotations       map[string]string
}

type manifest struct {
	Manifests, Layers []descriptor
	Config            descriptor
}

// follow reads what a descriptor names.
func follow(t testing.TB, layout map[string][]byte, d descriptor, into any) {
	t.Helper()
	text := layout["blobs/sha256/"+d.Digest[len("sha256:"):]]
	expect.Equal(t, "size of "+d.Digest, int64(len(text)), d.Size)
	check(t, json.Unmarshal(text, into))
}

// TestImage: an OCI layout with an index of both architectures. The one layer has the binary and nothing else.
//
// Claim: The image is made from scratch: it has the static binary and nothing else, for amd64 and arm64, and at most 12 MB; that of patchbay-agent has at most 13
func TestImage(t *testing.T) {
	for name, of := range map[string]imageRow{
		"patchbay":       {release.Image, []string{"/patchbay", "install"}, 12_000_000},
		"patchbay-agent": {release.AgentImage, []string{"/patchbay-agent"}, 13_000_000},
	} {
		t.Run(name, func(t *testing.T) { imageFile(t, name, of) })
	}
}

// imageRow is the name of an image, what it runs, and how large it may be, in bytes: the file, and on a node.
type imageRow struct {
	name    string
	command []string
	most    int64
}

// imageFile checks the file of one image.
func imageFile(t *testing.T, program string, of imageRow) {
	t.Helper()
	path := release.Path(t, program+"-0.2.0-image.tar")
	info, err := os.Stat(path)
	check(t, err)
	if info.Size() > of.most {
		t.Errorf("the file has %d bytes, more than %d", info.Size(), of.most)
	}
	layout := layoutOf(t, path)
	var top, index manifest
	check(t, json.Unmarshal(layout["index.json"], &top))
	expect.Equal(t, "name", top.Manifests[0].Annotations["io.containerd.image.name"], of.name)
	follow(t, layout, top.Manifests[0], &index)
	var found []string
	for _, d := range index.Manifests {
		found = append(found, d.Platform.OS+"/"+d.Platform.Architecture)
		imageOf(t, layout, d, of)
	}
	expect.Equal(t, "platforms", found, []string{"linux/amd64", "linux/arm64"})
}

// imageOf checks the image of one architecture.
func imageOf(t *testing.T, layout map[string][]byte, d descriptor, of imageRow) {
	t.Helper()
	var m manifest
	var config struct {
		Architecture string
		Config       struct{ Entrypoint, Cmd []string }
	}
	follow(t, layout, d, &m)
	follow(t, layout, m.Config, &config)
	expect.Equal(t, "architecture", config.Architecture, d.Platform.Architecture)
	expect.Equal(t, "entrypoint", append(config.Config.Entrypoint, config.Config.Cmd...), of.command)
	expect.Equal(t, "layers", len(m.Layers), 1)
	unzipped, err := gzip.NewReader(bytes.NewReader(layout["blobs/sha256/"+m.Layers[0].Digest[len("sha256:"):]]))
	check(t, err)
	content := untar(t, unzipped)
	binary := content[of.command[0][1:]]
	if of.name == release.Image { // the other program is in its image alone
		binary, err = os.ReadFile(release.Path(t, "patchbay-0.2.0-linux-"+d.Platform.Architecture))
		check(t, err)
	}
	if len(content) != 1 || len(binary) == 0 || !bytes.Equal(content[of.command[0][1:]], binary) {
		t.Errorf("the layer of %s has %d files, or another program", d.Platform.Architecture, len(content))
	}
	if size := int64(len(binary)); size > of.most {
		t.Errorf("the image of %s has %d bytes, more than %d", d.Platform.Architecture, size, of.most)
	}
	t.Logf("%s: %d bytes to fetch, %d on the node", d.Platform.Architecture, m.Layers[0].Size, len(binary))
}
