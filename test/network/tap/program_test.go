package tap

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// envGuest has the guest that this program is, instead of a test.
const envGuest = "PATCHBAY_TEST_GUEST"

// guest is a virtual machine monitor with a guest: it opens a tap by name as a user, as Firecracker does after its jailer, and answers
// ARP, ICMP echo and UDP.
type guest struct {
	Tap      string
	UID, GID int
	Flags    uint16 // beside IFF_TAP and IFF_NO_PI
	Queues   int    // how often to open it
	MAC      string
	Address  netip.Addr
	Gateway  netip.Addr // to ping at first, if valid
	mac      net.HardwareAddr
	seen     *seen
	file     int
}

// seen is what the guest has received.
type seen struct {
	gatewayMAC atomic.Pointer[net.HardwareAddr]
	answered   atomic.Bool // the gateway has answered an echo request
}

// TestMain runs the guest if the environment has one.
func TestMain(m *testing.M) {
	text := os.Getenv(envGuest)
	if text == "" {
		expect.Main(m, 4)
		return
	}
	var g guest
	err := json.Unmarshal([]byte(text), &g)
	if err == nil {
		err = g.run()
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// run opens the tap and answers until it cannot read any more.
func (g *guest) run() (err error) {
	var files []int
	for range max(1, g.Queues) { // as root: the node of this machine may belong to it; the tap is opened by the ioctl
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		files = append(files, fd)
	}
	if err := g.become(); err != nil {
		return err
	}
	for _, fd := range files {
		req, err := unix.NewIfreq(g.Tap)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | g.Flags)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return fmt.Errorf("open %s: %w", g.Tap, err)
		}
	}
	g.file, g.seen = files[0], &seen{}
	if g.MAC == "" {
		fmt.Println("open")
		_, err = os.Stdin.Read(make([]byte, 1)) // until the test closes it
		return err
	}
	if g.mac, err = net.ParseMAC(g.MAC); err != nil {
		return err
	}
	fmt.Println("open")
	if g.Gateway.IsValid() {
		go g.pingGateway()
	}
	return g.answerAll()
}

// become drops root.
func (g *guest) become() error {
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(g.GID); err != nil {
		return err
	}
	return syscall.Setuid(g.UID)
}

// pingGateway asks for the MAC of the gateway and pings it, again and again, as a kernel does: the first answers are lost if they come
// before the tap has carrier.
func (g *guest) pingGateway() {
	for ; !g.seen.answered.Load(); time.Sleep(100 * time.Millisecond) {
		mac := g.seen.gatewayMAC.Load()
		if mac == nil {
			g.send(append(g.ethernet(broadcast(), unix.ETH_P_ARP), g.arp(1, make([]byte, 6), g.Gateway)...))
			continue
		}
		echo := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, "patchbay"...)
		binary.BigEndian.PutUint16(echo[2:], checksum(echo))
		g.sendIP(*mac, g.Gateway, unix.IPPROTO_ICMP, echo)
	}
}

const virtioHeader = 10 // bytes before each frame: struct virtio_net_hdr, of IFF_VNET_HDR

func (g *guest) answerAll() error {
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.Read(g.file, buf)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n > virtioHeader+14 {
			g.take(buf[virtioHeader:n])
		}
	}
}

func (g *guest) send(frame []byte) {
	_, _ = unix.Write(g.file, append(make([]byte, virtioHeader), frame...)) // a frame that is lost is a test that fails
}

func broadcast() net.HardwareAddr { return bytes.Repeat([]byte{0xff}, 6) }

func (g *guest) ethernet(to []byte, protocol uint16) []byte {
	return binary.BigEndian.AppendUint16(append(append([]byte{}, to...), g.mac...), protocol)
}

// take answers a frame.
func (g *guest) take(frame []byte) {
	from, body := frame[6:12], frame[14:]
	switch protocol := binary.BigEndian.Uint16(frame[12:]); {
	case protocol == unix.ETH_P_ARP && len(body) >= 28:
		g.takeARP(body)
	case protocol == unix.ETH_P_IP && len(body) >= 28 && netip.AddrFrom4([4]byte(body[16:20])) == g.Address:
		g.takeIP(from, body)
	}
}

func (g *guest) arp(operation byte, to []byte, target netip.Addr) []byte {
	out := append([]byte{0, 1, 8, 0, 6, 4, 0, operation}, g.mac...)
	out = append(out, g.Address.AsSlice()...)
	return append(append(out, to...), target.AsSlice()...)
}

func (g *guest) takeARP(body []byte) {
	sender := netip.AddrFrom4([4]byte(body[14:18]))
	switch {
	case body[7] == 1 && netip.AddrFrom4([4]byte(body[24:28])) == g.Address:
		g.send(append(g.ethernet(body[8:14], unix.ETH_P_ARP), g.arp(2, body[8:14], sender)...))
	case body[7] == 2 && sender == g.Gateway:
		mac := net.HardwareAddr(append([]byte{}, body[8:14]...))
		g.seen.gatewayMAC.Store(&mac)
	}
}

func (g *guest) takeIP(from, packet []byte) {
	sender, payload := netip.AddrFrom4([4]byte(packet[12:16])), append([]byte{}, packet[4*int(packet[0]&15):binary.BigEndian.Uint16(packet[2:])]...)
	switch {
	case packet[9] == unix.IPPROTO_ICMP && payload[0] == 8:
		payload[0], payload[2], payload[3] = 0, 0, 0
		binary.BigEndian.PutUint16(payload[2:], checksum(payload))
		g.sendIP(from, sender, unix.IPPROTO_ICMP, payload)
	case packet[9] == unix.IPPROTO_ICMP && payload[0] == 0 && !g.seen.answered.Swap(true):
		fmt.Println("echo reply from", sender)
	case packet[9] == unix.IPPROTO_UDP:
		answer := append(append(append([]byte{}, payload[2:4]...), payload[:2]...), 0, 0, 0, 0) // without a checksum
		answer = append(append(answer, "guest: "...), payload[8:]...)
		binary.BigEndian.PutUint16(answer[4:], uint16(len(answer)))
		g.sendIP(from, sender, unix.IPPROTO_UDP, answer)
	}
}

func (g *guest) sendIP(mac []byte, to netip.Addr, protocol byte, payload []byte) {
	head := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0}
	head = append(append(head, g.Address.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(payload)))
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	g.send(append(append(g.ethernet(mac, unix.ETH_P_IP), head...), payload...))
}

// checksum returns the Internet checksum (RFC 1071).
func checksum(data []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		sum += uint32(data[len(data)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
