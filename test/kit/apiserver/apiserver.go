// Package apiserver runs etcd and kube-apiserver in a network namespace of a test, and sends requests to them. Both are built by
// scripts/lib.sh; without them the test skips, or fails in CI.
//
//	s := apiserver.Start(t, apiserver.Options{Netns: lan.Neighbour("api", "192.0.2.100/24"), Address: "192.0.2.100"})
//	err := s.Request("GET", "/api/v1/nodes", nil, &list)
package apiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// AdminToken is the token of the tests themselves, which may do everything.
const AdminToken = "admin-of-tests"

// Object is a JSON object.
type Object = map[string]any

// Options describe a server. Tokens are lines of the file of --token-auth-file besides that of the tests; Args are more options of
// kube-apiserver.
type Options struct {
	Netns   *nettest.Netns
	Address string // at which it listens, port 6443
	Tokens  string
	Args    []string
}

// Server is etcd and kube-apiserver.
type Server struct {
	t         testing.TB
	options   Options
	dir       string
	etcd, api *nettest.Cmd
	http      *http.Client
}

// Start starts both, and returns when requests are answered. They end with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, options: o, dir: t.TempDir()}
	dial := func(context.Context, string, string) (conn net.Conn, err error) {
		o.Netns.Do(func() { conn, err = net.Dial("tcp", o.Address+":6443") })
		return conn, err
	}
	//nolint:gosec // the certificate is made by the server when it starts
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	s.writeFiles()
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	s.etcd = s.Command("etcd", "--data-dir", s.Path("etcd"), "--unsafe-no-fsync", "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	t.Cleanup(func() { s.Stop(); stop(&s.etcd) })
	s.Resume()
	return s
}

// URL returns the address of the API.
func (s *Server) URL() string { return "https://" + s.options.Address + ":6443" }

// Transport returns the way by which requests reach the server, for a proxy.
func (s *Server) Transport() http.RoundTripper { return s.http.Transport }

// Path returns the path of a file in the directory of the server: its certificate is "apiserver.crt", the key that signs the tokens of service
// accounts "sa.key". The directory may be used for more files.
func (s *Server) Path(name string) string { return filepath.Join(s.dir, name) }

// writeFiles writes the tokens, and the key by which the server signs those of service accounts.
func (s *Server) writeFiles() {
	s.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"tokens.csv": []byte(AdminToken + ",admin,1,system:masters\n" + s.options.Tokens),
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	} {
		if err := os.WriteFile(s.Path(name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Command starts a program of the control plane in the namespace; its output is appended to the file NAME.log of the directory.
func (s *Server) Command(name string, args ...string) *nettest.Cmd {
	s.t.Helper()
	log, err := os.OpenFile(s.Path(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	c := s.options.Netns.Command(nettest.Program(s.t, name), args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Resume starts kube-apiserver again after Stop, with the same certificate and what etcd has, and returns when requests are answered.
func (s *Server) Resume() {
	s.t.Helper()
	args := []string{
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address=" + s.options.Address, "--advertise-address=" + s.options.Address,
		"--secure-port=6443", "--cert-dir=" + s.dir, "--token-auth-file=" + s.Path("tokens.csv"), "--service-account-key-file=" + s.Path("sa.key"),
		"--service-account-signing-key-file=" + s.Path("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
	}
	s.api = s.Command("kube-apiserver", append(args, s.options.Args...)...)
	Eventually(s.t, "the API server is ready", func() error { return s.Request("GET", "/readyz", nil, nil) })
}

// Stop kills kube-apiserver and waits for its end; etcd runs on.
func (s *Server) Stop() {
	stop(&s.api)
	s.http.CloseIdleConnections()
}

// stop kills a program and waits for its end.
func stop(c **nettest.Cmd) {
	if *c == nil {
		return
	}
	_ = (*c).Process.Signal(syscall.SIGKILL)
	_ = (*c).Wait()
	*c = nil
}

// Request sends in as JSON, nothing if it is nil, and decodes the answer into out unless that is nil. PATCH sends a merge patch. An answer with a
// status of 300 or more is an error.
func (s *Server) Request(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, s.URL()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+AdminToken)
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	return err
}

// Must is Request without an answer, and ends the test if it fails.
func (s *Server) Must(t testing.TB, method, path string, in any) {
	t.Helper()
	if err := s.Request(method, path, in, nil); err != nil {
		t.Fatal(err)
	}
}

// Eventually repeats a check until it returns nil, for two minutes at most; then the test ends.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
