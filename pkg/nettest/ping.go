package nettest

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// PingOptions bound a ping. The zero value is one echo with a second to answer.
type PingOptions struct {
	Count   int           // echoes to send, one after the other; 1 when zero, 65536 at most
	Timeout time.Duration // for each echo; one second when zero
	From    netip.Addr    // source address; the kernel's choice when not valid
	Linger  time.Duration // time to listen for duplicates after the last reply
	Size    int           // bytes of payload, at least the 16 that identify an echo
}

// PingResult is the result of a ping.
type PingResult struct {
	Sent       int
	Received   int             // echoes with at least one reply
	Duplicates int             // replies beyond the first of an echo
	Redirects  int             // ICMP redirects that arrived while it ran
	RTTs       []time.Duration // of each echo received, from send to first reply
	Err        error           // why it could not send; nil if only replies are missing
}

// OK reports whether every echo was sent and answered exactly once.
func (r PingResult) OK() bool {
	return r.Err == nil && r.Sent > 0 && r.Received == r.Sent && r.Duplicates == 0
}

// String returns a text for failure messages.
func (r PingResult) String() string {
	s := fmt.Sprintf("%d sent, %d received, %d duplicates, %d redirects", r.Sent, r.Received, r.Duplicates, r.Redirects)
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Ping sends ICMP or ICMPv6 echoes to dst from inside the namespace and waits
// for each reply before it sends the next. It takes at most Count x Timeout. A
// link-local dst needs its zone (the interface's name).
func (n *Netns) Ping(dst netip.Addr, o PingOptions) PingResult {
	o = o.withDefaults()
	p, err := n.openPing(dst, o)
	if err != nil {
		return PingResult{Err: err}
	}
	defer p.close()
	for seq := range o.Count {
		if err := p.echo(seq, o.Timeout); err != nil {
			p.result.Err = fmt.Errorf("ping %s from %s: %w", dst, n.name, err)
			return p.result
		}
	}
	p.listen(time.Now().Add(o.Linger), func() bool { return false })
	return p.result
}

// PingOnce sends one echo and returns nil when the reply came within a second.
func (n *Netns) PingOnce(dst netip.Addr) error {
	r := n.Ping(dst, PingOptions{})
	if r.Err != nil {
		return r.Err
	}
	if r.Received == 0 {
		return fmt.Errorf("ping %s from %s: no reply within a second", dst, n.name)
	}
	return nil
}

func (o PingOptions) withDefaults() PingOptions {
	if o.Count == 0 {
		o.Count = 1
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	o.Count = min(o.Count, 1<<16)
	o.Size = max(o.Size, nonceLen)
	return o
}

// nonceLen is the length of the random start of the payload, which identifies the
// replies of a ping.
const nonceLen = 16

// pinger is a running ping.
type pinger struct {
	*socket
	family  icmpFamily
	to      unix.Sockaddr
	dst     netip.Addr
	payload []byte
	replies []int // per echo
	sentAt  []time.Time
	result  PingResult
}

// openPing opens the raw socket inside the namespace.
func (n *Netns) openPing(dst netip.Addr, o PingOptions) (*pinger, error) {
	p := &pinger{family: familyOf(dst), dst: dst, replies: make([]int, o.Count), sentAt: make([]time.Time, o.Count)}
	p.payload = make([]byte, o.Size)
	if _, err := rand.Read(p.payload[:nonceLen]); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	var err error
	p.socket, err = n.openSocket(p.family.domain, unix.SOCK_RAW, p.family.proto, func(fd int) error {
		var err error
		if p.to, err = sockaddr(dst); err != nil || !o.From.IsValid() {
			return err
		}
		from, err := sockaddr(o.From)
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, from); err != nil {
			return fmt.Errorf("bind to %s: %w", o.From, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ping %s from %s: %w", dst, n.name, err)
	}
	return p, nil
}

// echo sends echo number seq and listens until its reply or the timeout.
func (p *pinger) echo(seq int, timeout time.Duration) error {
	body := binary.BigEndian.AppendUint16(nil, p.id())
	body = binary.BigEndian.AppendUint16(body, uint16(seq))
	packet := icmpMessage(p.family.request, append(body, p.payload...))
	p.sentAt[seq] = time.Now()
	if err := p.send(packet, p.to); err != nil {
		return err
	}
	p.result.Sent++
	p.listen(p.sentAt[seq].Add(timeout), func() bool { return p.replies[seq] > 0 })
	return nil
}

// id is the identifier of the echoes. Descriptors of one process differ.
func (p *pinger) id() uint16 { return uint16(p.fd) }

// listen receives packets until done returns true or the deadline has passed, and then
// those that are queued.
func (p *pinger) listen(until time.Time, done func() bool) {
	buf := make([]byte, 64<<10)
	p.deadline(until)
	for !done() {
		n, from, err := p.receive(buf)
		if err != nil {
			break
		}
		p.take(buf[:n], from)
	}
	for {
		n, from, err := p.receiveQueued(buf)
		if err != nil {
			return
		}
		p.take(buf[:n], from)
	}
}

// take counts one packet from the raw socket.
func (p *pinger) take(packet []byte, from unix.Sockaddr) {
	at := time.Now()
	msg := p.family.strip(packet)
	if len(msg) >= 1 && msg[0] == p.family.redirect {
		p.result.Redirects++
		return
	}
	if len(msg) < 8+nonceLen || msg[0] != p.family.reply || binary.BigEndian.Uint16(msg[4:]) != p.id() {
		return
	}
	if !bytes.Equal(msg[8:8+nonceLen], p.payload[:nonceLen]) || !p.isFrom(from) {
		return
	}
	seq := int(binary.BigEndian.Uint16(msg[6:]))
	if seq >= len(p.replies) || p.sentAt[seq].IsZero() {
		return
	}
	p.replies[seq]++
	if p.replies[seq] > 1 {
		p.result.Duplicates++
		return
	}
	p.result.Received++
	p.result.RTTs = append(p.result.RTTs, at.Sub(p.sentAt[seq]))
}

// isFrom reports whether a reply comes from the destination; for a multicast group it
// comes from a member.
func (p *pinger) isFrom(from unix.Sockaddr) bool {
	if p.dst.IsMulticast() {
		return true
	}
	return addrOf(from) == p.dst.WithZone("")
}
