package vm

import (
	"bytes"
	"net"
	"os"
	"sync"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// power is the time from power on to power off: a process of qemu with the connection to the program that runs commands.
type power struct {
	process *nettest.Cmd
	stderr  bytes.Buffer
	port    net.Conn
	ended   chan struct{} // closed when qemu has ended
	ready   chan struct{} // closed when the machine can run commands

	mu      sync.Mutex
	last    int // ID of a request
	waiting map[int]chan answer
}

// on starts qemu.
func (m *Machine) on() error {
	m.power = &power{waiting: map[int]chan answer{}, ended: make(chan struct{}), ready: make(chan struct{})}
	_ = os.Remove(m.own("port"))
	listener, err := net.Listen("unix", m.own("port"))
	if err != nil {
		return err
	}
	m.process = m.outside.Command(m.qemu, append(m.arguments(m.dir), m.network()...)...)
	m.process.Stderr = &m.stderr
	if err := m.process.Start(); err != nil {
		_ = listener.Close()
		return err
	}
	go m.await(listener)
	if m.port, err = listener.Accept(); err != nil {
		return err
	}
	go m.receive()
	return nil
}

// await waits for the end of qemu, and ends it when its time is over.
func (p *power) await(listener net.Listener) {
	timer := time.AfterFunc(limit, func() { _ = p.process.Process.Kill() })
	_ = p.process.Wait()
	timer.Stop()
	_ = listener.Close()
	close(p.ended)
}

// off ends qemu.
func (p *power) off() {
	_ = p.process.Process.Kill()
	<-p.ended
	if p.port != nil {
		p.port.Close()
	}
}
