// Package etcd runs an etcd for tests: the real program, with its data in a directory of the test, on a port of the loopback
// interface.
package etcd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Server is a running etcd.
type Server struct {
	Endpoint string // "127.0.0.1:2379"
}

// Start starts an etcd with further options, which ends with the test. Without the program (PATCHBAY_CACHE_BIN, scripts/etcd) the
// test is skipped; it fails if CI is set.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	program := filepath.Join(os.Getenv("PATCHBAY_CACHE_BIN"), "etcd")
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no etcd: %v", err)
		}
		t.Skip("no etcd in PATCHBAY_CACHE_BIN; make test-runtimes builds it")
	}
	s := &Server{Endpoint: freePort(t)}
	peer, client := "http://"+freePort(t), "http://"+s.Endpoint
	for _, o := range options {
		if o == "--client-cert-auth" {
			client = "https://" + s.Endpoint
		}
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{
		"--data-dir", filepath.Join(t.TempDir(), "data"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer, "--log-level", "warn",
	}, options...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("etcd:\n%s", text[max(0, len(text)-4000):])
		}
	})
	s.await(t)
	return s
}

// await waits until the port is open; a client then waits for the election itself.
func (s *Server) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Endpoint)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("etcd does not listen: %v", err)
		}
	}
}

// freePort returns an address of a port that is free now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

// Client returns a client, which is closed with the test.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := c.Get(ctx, "ready"); err != nil {
		t.Fatal(fmt.Errorf("etcd: %w", err))
	}
	return c
}
