package cluster

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

// Tokens of the API server: that of the tests, and that of the service account of conf/kubernetes/agent.yaml.
const (
	adminToken   = "admin-of-tests"
	accountToken = "account-of-tests"
	apiAddress   = "192.0.2.100"
	apiURL       = "https://" + apiAddress + ":6443"
)

// apiServer is etcd and kube-apiserver in a namespace on the LAN.
type apiServer struct {
	t     testing.TB
	netns *nettest.Netns
	dir   string
	etcd  *nettest.Cmd
	api   *nettest.Cmd
	http  *http.Client
}

// startAPIServer starts both, and returns when requests are answered.
func startAPIServer(t testing.TB, lan *nettest.LAN) *apiServer {
	t.Helper()
	s := &apiServer{t: t, netns: lan.Neighbour("api", apiAddress+"/24", "2001:db8:0:1::100/64"), dir: t.TempDir()}
	dial := func(context.Context, string, string) (conn net.Conn, err error) {
		s.netns.Do(func() { conn, err = net.Dial("tcp", apiAddress+":6443") })
		return conn, err
	}
	//nolint:gosec // the certificate is made by the server when it starts
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	s.writeFiles()
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	s.etcd = s.command("etcd", "--data-dir", filepath.Join(s.dir, "etcd"), "--unsafe-no-fsync", "--listen-client-urls", client,
		"--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	t.Cleanup(func() { s.stop(&s.api); s.stop(&s.etcd) })
	s.start()
	return s
}

// writeFiles writes the tokens, and the key by which the server signs those of service accounts.
func (s *apiServer) writeFiles() {
	s.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	tokens := adminToken + ",admin,1,system:masters\n" + accountToken + ",system:serviceaccount:kube-system:patchbay-agent,2,system:serviceaccounts\n"
	for name, text := range map[string][]byte{
		"tokens.csv": []byte(tokens), "token": []byte(accountToken),
		"sa.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	} {
		if err := os.WriteFile(s.path(name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *apiServer) path(name string) string { return filepath.Join(s.dir, name) }

// command starts a program; its output is in a file of its name.
func (s *apiServer) command(name string, args ...string) *nettest.Cmd {
	s.t.Helper()
	log, err := os.OpenFile(s.path(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	c := s.netns.Command(nettest.Program(s.t, name), args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// start starts the API server again, with the same certificate and what etcd has.
func (s *apiServer) start() {
	s.t.Helper()
	s.api = s.command("kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--bind-address="+apiAddress, "--advertise-address="+apiAddress,
		"--secure-port=6443", "--cert-dir="+s.dir, "--token-auth-file="+s.path("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-key-file="+s.path("sa.key"), "--service-account-signing-key-file="+s.path("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount")
	eventually(s.t, "the API server is ready", func() error { return s.request("GET", "/readyz", nil, nil) })
}

// stop kills a program and waits for its end.
func (s *apiServer) stop(c **nettest.Cmd) {
	if *c == nil {
		return
	}
	_ = (*c).Process.Signal(syscall.SIGKILL)
	_ = (*c).Wait()
	*c = nil
	s.http.CloseIdleConnections()
}

// request sends JSON and decodes the answer.
func (s *apiServer) request(method, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, apiURL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, body)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(body, out)
	}
	return err
}

// must ends the test if a request failed.
func (s *apiServer) must(method, path string, in, out any) {
	s.t.Helper()
	if err := s.request(method, path, in, out); err != nil {
		s.t.Fatal(err)
	}
}

// nodeObject is a Node object to create.
type nodeObject struct {
	name      string
	cidrs     []string
	addresses []string
	images    int // number of image names in the status
}

type object = map[string]any

// create creates a Node object with its status.
func (s *apiServer) create(n nodeObject) {
	s.t.Helper()
	spec := object{}
	if len(n.cidrs) > 0 {
		spec["podCIDR"], spec["podCIDRs"] = n.cidrs[0], n.cidrs
	}
	s.must("POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": n.name}, "spec": spec}, nil)
	s.setAddresses(n)
}

// setAddresses writes the status, as kubelet does.
func (s *apiServer) setAddresses(n nodeObject) {
	s.t.Helper()
	addresses := []object{{"type": "Hostname", "address": n.name}}
	for _, a := range n.addresses {
		addresses = append(addresses, object{"type": "InternalIP", "address": a})
	}
	status := object{"addresses": addresses}
	if n.images > 0 {
		var images []object
		for i := range n.images {
			images = append(images, object{"sizeBytes": 1e8 + i, "names": []string{
				fmt.Sprintf("registry.example.com/team/application-%d@sha256:%064x", i, i), fmt.Sprintf("registry.example.com/team/application-%d:v1.%d.0-build.7", i, i),
			}})
		}
		status["images"] = images
	}
	s.must("PATCH", "/api/v1/nodes/"+n.name+"/status", object{"status": status}, nil)
}

func (s *apiServer) remove(name string) {
	s.t.Helper()
	s.must("DELETE", "/api/v1/nodes/"+name, nil, nil)
}

// awaitLaterThan returns when new Node objects are younger than this one: creationTimestamp has whole seconds.
func (s *apiServer) awaitLaterThan(name string) {
	s.t.Helper()
	var old, clock struct {
		Metadata struct{ CreationTimestamp time.Time }
	}
	s.must("GET", "/api/v1/nodes/"+name, nil, &old)
	eventually(s.t, "a later second", func() error {
		s.must("POST", "/api/v1/nodes", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": "clock"}}, &clock)
		s.remove("clock")
		if !clock.Metadata.CreationTimestamp.After(old.Metadata.CreationTimestamp) {
			return fmt.Errorf("it is %s", clock.Metadata.CreationTimestamp)
		}
		return nil
	})
}

// eventually waits until check returns nil.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
