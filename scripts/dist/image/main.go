// Image writes the image of a release: an OCI layout in one tar, for several architectures, from the static binaries alone.
// It needs no daemon and no network, and the same arguments give the same bytes.
//
//	image -version 0.2.0 -created 1767225600 -out patchbay-image.tar amd64=PATH arm64=PATH
//	image -name patchbay-agent -version ...
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// registry is the beginning of the names under which runtimes know imported images.
const registry = "ghcr.io/patchbay-cni/"

// release is what all architectures have in common. The name is that of the program, which is /NAME in the image and decides what the
// program does.
type release struct {
	name              string
	version, revision string
	created           time.Time
}

func main() {
	name := flag.String("name", "patchbay", "`name` of the program and of the image")
	version := flag.String("version", "", "`version` of the program")
	revision := flag.String("revision", "", "`commit` that it was built from")
	created := flag.Int64("created", 0, "time of the release, in `seconds` since 1970")
	out := flag.String("out", "", "`file` to write")
	flag.Parse()
	r := release{*name, *version, *revision, time.Unix(*created, 0).UTC()}
	if err := r.write(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// write writes the tar with an image for each ARCHITECTURE=PATH.
func (r release) write(out string, programs []string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range programs {
		arch, path, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not ARCHITECTURE=PATH", arg)
		}
		image, err := r.image(arch, path)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(r.names())); err != nil {
		return err
	}
	return r.pack(dir, out)
}

// names returns the annotations by which runtimes name an imported image: ctr the first, podman the second.
func (r release) names() map[string]string {
	tag := strings.ReplaceAll(r.version, "+", "_")
	return map[string]string{"io.containerd.image.name": registry + r.name + ":" + tag, "org.opencontainers.image.ref.name": tag}
}

// image returns the image of one architecture.
func (r release) image(arch, path string) (v1.Image, error) {
	layer, err := r.layer(path)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.AppendLayers(image, layer)
	if err != nil {
		return nil, err
	}
	var command []string // of patchbay, which does many things
	if r.name == "patchbay" {
		command = []string{"install"}
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: r.created}, RootFS: rootFS(image),
		History: []v1.History{{Created: v1.Time{Time: r.created}, CreatedBy: "make dist"}},
		Config: v1.Config{
			Entrypoint: []string{"/" + r.name}, Cmd: command,
			Labels: map[string]string{
				"org.opencontainers.image.title":    r.name,
				"org.opencontainers.image.version":  r.version,
				"org.opencontainers.image.revision": r.revision,
				"org.opencontainers.image.source":   "https://github.com/patchbay-cni/patchbay",
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	})
}

func rootFS(image v1.Image) v1.RootFS {
	config, err := image.ConfigFile()
	if err != nil {
		return v1.RootFS{}
	}
	return config.RootFS
}

// layer returns the one layer, which has the program and nothing else.
func (r release) layer(path string) (v1.Layer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := r.add(w, r.name, 0o755, bytes.NewReader(text), int64(len(text))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(9), tarball.WithCompressedCaching)
}

// add adds a file of root to a tar.
func (r release) add(w *tar.Writer, name string, mode int64, content io.Reader, size int64) error {
	head := tar.Header{Name: name, Mode: mode, Size: size, ModTime: r.created, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(&head); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}

// pack puts the files of a layout into one tar, in the order of their names.
func (r release) pack(dir, out string) error {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(paths)
	file, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	w := tar.NewWriter(file)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := r.add(w, strings.TrimPrefix(path, dir+"/"), 0o644, bytes.NewReader(text), int64(len(text))); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Close()
}
