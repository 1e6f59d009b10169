package bandwidth

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// wire connects two namespaces by TAP devices, and delays each frame: the kernel of the test machines has no netem.
func wire(t testing.TB, a *nettest.Netns, nameA string, b *nettest.Netns, nameB string, delay time.Duration) {
	t.Helper()
	ends := [2]*os.File{tap(t, a, nameA), tap(t, b, nameB)}
	for i, end := range ends {
		go forward(end, ends[1-i], delay)
	}
}

// tap creates a TAP device that is up.
func tap(t testing.TB, n *nettest.Netns, name string) *os.File {
	t.Helper()
	var file *os.File
	n.Do(func() {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			t.Fatal(err)
		}
		file = os.NewFile(uintptr(fd), name)
	})
	t.Cleanup(func() { file.Close() })
	n.Run(t, "ip", "link", "set", name, "up")
	return file
}

// frame is a frame on its way.
type frame struct {
	due  time.Time
	data []byte
}

// forward copies frames in order, each after the delay. A full wire loses frames.
func forward(from, to *os.File, delay time.Duration) {
	onTheWay := make(chan frame, 1<<14)
	go func() {
		for f := range onTheWay {
			time.Sleep(time.Until(f.due))
			if _, err := to.Write(f.data); err != nil {
				return
			}
		}
	}()
	defer close(onTheWay)
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case onTheWay <- frame{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}:
		default:
		}
	}
}
