package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	every    = 100 * time.Millisecond // from one datagram, and from one line, to the next
	patience = time.Minute            // for an answer: an emulated machine may stand still for 20 s, and what is late is not lost
)

// counts are the requests of one client. A datagram is never sent twice: one without an answer is lost.
type counts struct {
	Sent     int    // datagrams, each from a socket of its own, so that each is a new flow for the kernel
	Answered int    // of them
	Lines    int    // sent by the one TCP connection
	Echoed   int    // of them, in their order
	Failed   string // why a socket or the connection failed; the first reason
	Ended    bool   // the client was ended, and has waited for all answers
}

// client asks a server by both protocols.
type client struct {
	to   string
	stop chan struct{}
	all  sync.WaitGroup

	mu sync.Mutex
	counts
}

// ask asks until SIGTERM.
func ask(file, address string) error {
	c := &client{to: address, stop: make(chan struct{})}
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	c.all.Go(c.sendDatagrams)
	c.all.Go(func() { c.sendLines(conn) })
	c.all.Go(func() { c.readLines(conn) })
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	for tick := time.NewTicker(every); ; {
		select {
		case <-tick.C:
			if err := c.write(file); err != nil {
				return err
			}
		case <-ended:
			close(c.stop)
			c.all.Wait()
			c.change(func(n *counts) { n.Ended = true })
			return c.write(file)
		}
	}
}

func (c *client) change(do func(*counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(&c.counts)
}

// fail keeps the first reason.
func (c *client) fail(err error) {
	c.change(func(n *counts) {
		if n.Failed == "" {
			n.Failed = err.Error()
		}
	})
}

// write replaces the file.
func (c *client) write(file string) error {
	c.mu.Lock()
	text, err := json.Marshal(c.counts)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// eachTick calls send with 1, 2, 3 ... until the client ends or send fails.
func (c *client) eachTick(send func(int) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-c.stop:
			return
		case <-tick.C:
			if err := send(n); err != nil {
				c.fail(err)
				return
			}
		}
	}
}

func (c *client) sendDatagrams() {
	c.eachTick(func(n int) error {
		conn, err := net.Dial("udp", c.to)
		if err != nil {
			return err
		}
		c.change(func(n *counts) { n.Sent++ })
		c.all.Go(func() {
			defer conn.Close()
			if err := exchange(conn, strconv.Itoa(n)); err != nil {
				c.fail(err)
				return
			}
			c.change(func(n *counts) { n.Answered++ })
		})
		return nil
	})
}

// exchange sends one datagram, and returns an error if it is not answered.
func exchange(conn net.Conn, text string) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	got := make([]byte, 64)
	n, err := conn.Read(got)
	if err != nil {
		return fmt.Errorf("datagram %s from %s: %w", text, conn.LocalAddr(), err)
	}
	if string(got[:n]) != text {
		return fmt.Errorf("datagram %s is answered with %q", text, got[:n])
	}
	return nil
}

// sendLines sends numbers, and then the end of the connection.
func (c *client) sendLines(conn net.Conn) {
	c.eachTick(func(n int) error {
		_, err := fmt.Fprintln(conn, n)
		if err == nil {
			c.change(func(n *counts) { n.Lines++ })
		}
		return err
	})
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
}

// readLines requires the numbers in their order, until the server closes the connection.
func (c *client) readLines(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // at the end: Echoed says whether something is missing
		}
		if strings.TrimSpace(line) != strconv.Itoa(n) {
			c.fail(fmt.Errorf("line %d is answered with %q", n, line))
			return
		}
		c.change(func(n *counts) { n.Echoed++ })
	}
}
