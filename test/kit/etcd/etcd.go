// Package etcd runs an etcd in a network namespace of a test. scripts/lib.sh builds it; without it the test skips, or fails in CI.
//
//	server := etcd.Start(t, router, "192.0.2.1")
//	server.Stop()
//	server.Resume()
package etcd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Server is one etcd.
type Server struct {
	t    testing.TB
	on   *nettest.Container
	args []string
	cmd  *nettest.Cmd
}

// Start starts an etcd that listens at port 2379 of an IPv4 address, with its data in a directory of the test. It ends with the test. Requests are answered a
// short time later.
func Start(t testing.TB, on *nettest.Container, address string) *Server {
	t.Helper()
	client, peer := "http://"+address+":2379", "http://"+address+":2380"
	s := &Server{t: t, on: on, args: []string{
		nettest.Program(t, "etcd"), "--data-dir", filepath.Join(t.TempDir(), "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer, "--log-level", "error",
	}}
	s.Resume()
	t.Cleanup(s.Stop)
	return s
}

// Resume starts it again after Stop.
func (s *Server) Resume() {
	s.t.Helper()
	s.cmd = s.on.Command(s.args[0], s.args[1:]...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop ends it at once; its data stay.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}
