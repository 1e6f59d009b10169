package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/lan/etcd"
)

// authority makes certificates in a directory.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.sign(t, "ca", &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign writes NAME.crt and NAME.key.
func (a *authority) sign(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(a.path(name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func leaf(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// TestSecure: etcd with certificates of servers and clients, users and roles is reached with the options of etcdctl; a user with the right to the
// keys of Patchbay alone suffices.
//
// Claim: patchbay-lan reaches an etcd with TLS, client certificates and a user that has the keys below /patchbay/ alone
func TestSecure(t *testing.T) {
	a := newAuthority(t)
	a.sign(t, "server", leaf("server"))
	a.sign(t, "client", leaf("client"))
	server := etcd.Start(t, "--client-cert-auth", "--trusted-ca-file", a.path("ca.crt"), "--cert-file", a.path("server.crt"), "--key-file", a.path("server.key"))
	a.enableUsers(t, server)
	program := filepath.Join(filepath.Dir(nettest.Patchbay(t)), "patchbay-lan")
	run := func(environment string, args ...string) (string, error) {
		cmd := exec.Command(program, append(args, "--endpoints", server.Endpoint)...)
		cmd.Env = []string{environment}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	tlsOptions := []string{"--cacert", a.path("ca.crt"), "--cert", a.path("client.crt"), "--key", a.path("client.key")}
	init := append([]string{"init", "lan", "--subnet", "192.0.2.0/24", "--user", "patchbay"}, tlsOptions...)
	if out, err := run("ETCDCTL_PASSWORD=secret", init...); err != nil || !strings.Contains(out, "lan: created") {
		t.Errorf("init: %v\n%s", err, out)
	}
	if out, err := run("ETCDCTL_USER=patchbay:secret", append([]string{"ls", "lan"}, tlsOptions...)...); err != nil || !strings.Contains(out, "4 free") {
		t.Errorf("ls: %v\n%s", err, out)
	}
	for want, args := range map[string][]string{
		"authentication failed":                                 append([]string{"ls", "lan", "--user", "patchbay:wrong"}, tlsOptions...),
		"give the user a role that reads and writes /patchbay/": append([]string{"ls", "lan"}, tlsOptions...),
		"check --endpoints, and with TLS":                       {"ls", "lan"},
		"read the certificates of etcd":                         {"ls", "lan", "--cacert", a.path("none.crt")},
	} {
		if out, err := run("A=", args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
	if out, err := run("ETCDCTL_USER=patchbay:secret", "help", "ls"); err != nil || strings.Contains(out, "secret") {
		t.Errorf("help prints the password: %v\n%s", err, out)
	}
}

// enableUsers makes the users root and patchbay.
func (a *authority) enableUsers(t *testing.T, server *etcd.Server) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.path("client.crt"), a.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.reload(t))
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{server.Endpoint}, Logger: zap.NewNop(), TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	steps := []func() error{
		func() error { _, err := client.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := client.RoleAdd(ctx, "patchbay"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "patchbay", "/patchbay/", clientv3.GetPrefixRangeEnd("/patchbay/"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := client.UserAdd(ctx, "patchbay", "secret"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "patchbay", "patchbay"); return err },
		func() error { _, err := client.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// reload reads the certificate of the authority.
func (a *authority) reload(t *testing.T) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(a.path("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
