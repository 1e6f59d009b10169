package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
)

// etcdFlags are the options of a connection to etcd, with the names that etcdctl gives them.
type etcdFlags struct {
	endpoints, cacert, cert, key, user, password string
	insecure                                     bool
}

// variable returns the environment variable of an option: etcdctl reads the same.
func variable(name string) string { return os.Getenv("ETCDCTL_" + name) }

func (f *etcdFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.endpoints, "endpoints", cmp.Or(variable("ENDPOINTS"), "127.0.0.1:2379"), "`addresses` of etcd, with commas between them ($ETCDCTL_ENDPOINTS)")
	flags.StringVar(&f.cacert, "cacert", variable("CACERT"), "`file` with the certificates of the authorities of etcd ($ETCDCTL_CACERT)")
	flags.StringVar(&f.cert, "cert", variable("CERT"), "`file` with the certificate of this client ($ETCDCTL_CERT)")
	flags.StringVar(&f.key, "key", variable("KEY"), "`file` with the key of that certificate ($ETCDCTL_KEY)")
	flags.BoolVar(&f.insecure, "insecure-skip-tls-verify", variable("INSECURE_SKIP_TLS_VERIFY") == "true", "do not check the certificate of etcd")
	flags.StringVar(&f.user, "user", "", "`name[:password]` of the user of etcd ($ETCDCTL_USER)")
	flags.StringVar(&f.password, "password", "", "`password` of the user; other users of this host see it, so use $ETCDCTL_PASSWORD")
}

// connect returns a client. It waits for etcd only if there is a user.
func (f *etcdFlags) connect() (*clientv3.Client, error) {
	secure, err := f.tls()
	if err != nil {
		return nil, err
	}
	user, password, found := strings.Cut(cmp.Or(f.user, variable("USER")), ":")
	if !found {
		password = cmp.Or(f.password, variable("PASSWORD"))
	}
	const timeout = 5 * time.Second
	return clientv3.New(clientv3.Config{
		Endpoints: strings.Split(f.endpoints, ","), TLS: secure, Username: user, Password: password,
		DialTimeout: timeout, DialKeepAliveTime: 30 * time.Second, DialKeepAliveTimeout: timeout, Logger: zap.NewNop(),
	})
}

// tls returns the settings of TLS, nil without an option of it.
func (f *etcdFlags) tls() (*tls.Config, error) {
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("--cert and --key belong together")
	}
	if f.cacert == "" && f.cert == "" && !f.insecure {
		if strings.Contains(f.endpoints, "https://") {
			return &tls.Config{MinVersion: tls.VersionTLS12}, nil
		}
		return nil, nil
	}
	info := transport.TLSInfo{CertFile: f.cert, KeyFile: f.key, TrustedCAFile: f.cacert, InsecureSkipVerify: f.insecure}
	secure, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the certificates of etcd: %w", err)
	}
	return secure, nil
}

// checkNetwork returns an error for a name that no network can have.
func checkNetwork(name string) error {
	if !config.ValidName(name) {
		return fmt.Errorf("network %q: a name begins with a letter or digit, and has letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}

// using connects to etcd, and calls work.
func (f *etcdFlags) using(network string, work func(*clientv3.Client) error) error {
	if err := checkNetwork(network); err != nil {
		return err
	}
	client, err := f.connect()
	if err != nil {
		return fmt.Errorf("connect to etcd at %s: %w", f.endpoints, err)
	}
	return errors.Join(f.explain(work(client)), client.Close())
}

// usingNodes connects to etcd, reads the network and its hosts, and calls work.
func (f *etcdFlags) usingNodes(network string, work func(*clientv3.Client, lan.Snapshot, map[string]registry.Node) error) error {
	return f.using(network, func(client *clientv3.Client) error {
		s, err := list(client, network)
		if err != nil {
			return err
		}
		nodes, err := registry.Nodes(context.Background(), client, s)
		if err != nil {
			return err
		}
		return work(client, s, nodes)
	})
}

// explain adds the remedy to an error of etcd.
func (f *etcdFlags) explain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w; etcd does not answer at %s: check --endpoints, and with TLS --cacert, --cert and --key", err, f.endpoints)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w; give the user a role that reads and writes /patchbay/: etcdctl role grant-permission ROLE --prefix=true readwrite /patchbay/", err)
	}
	return err
}
