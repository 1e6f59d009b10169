package containerd

import (
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/patchbay-cni/patchbay/test/kit/image"
)

// webImage is the sandbox image: a web server that sends the name of its sandbox.
const webImage = "patchbay.test/web:1"

// serveScript is the command of the sandbox. In a sandbox only /dev is writable.
const serveScript = "mkdir /dev/www && hostname >/dev/www/index.html && exec /bin/busybox httpd -f -p 80 -h /dev/www"

// importImage imports the image into containerd, and waits until its CRI lists it.
func (n *node) importImage() {
	n.t.Helper()
	path := n.write("image.tar", string(image.Docker(n.t, webImage, "/bin/sh", "-c", serveScript)))
	n.run("ctr", "-n", "k8s.io", "images", "import", path)
	n.await("aware of the image", func() (bool, error) {
		answer, err := n.cri.images.ImageStatus(n.context(), &criapi.ImageStatusRequest{Image: &criapi.ImageSpec{Image: webImage}})
		return answer.GetImage() != nil, err
	})
}
