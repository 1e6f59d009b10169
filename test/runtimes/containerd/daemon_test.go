package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const socket = "/run/containerd/containerd.sock"

// daemon is a running containerd.
type daemon struct {
	cmd  *nettest.Cmd
	log  *os.File
	conn *grpc.ClientConn
}

// cri holds the clients of containerd's CRI services.
type cri struct {
	runtime runtime.RuntimeServiceClient
	images  runtime.ImageServiceClient
}

// patience limits every wait for containerd: the machine may be busy.
const patience = 2 * time.Minute

// start starts containerd and waits until its CRI answers and its network is ready.
func (n *node) start() {
	n.t.Helper()
	path := n.write("config.toml", n.release.config)
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = log.Close() })
	d := &daemon{cmd: n.command("sh", "-c", `echo $$ >"$0/pid" && exec containerd --config "$1"`, n.dir, path), log: log}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		n.t.Fatalf("start containerd: %v", err)
	}
	n.daemon = d
	n.t.Cleanup(n.stop)
	n.connect()
	n.await("ready", func() (bool, error) {
		answer, err := n.cri.runtime.Status(n.context(), &runtime.StatusRequest{})
		return err == nil && ready(answer.GetStatus()), err
	})
}

// ready reports whether a kubelet would report the node as Ready. containerd 2 adds further conditions, which a
// kubelet only displays.
func ready(s *runtime.RuntimeStatus) bool {
	yes := 0
	for _, c := range s.GetConditions() {
		if c.GetStatus() && (c.GetType() == runtime.RuntimeReady || c.GetType() == runtime.NetworkReady) {
			yes++
		}
	}
	return yes == 2
}

// connect returns the client; it dials from a thread in the host's namespaces, where the socket is.
func (n *node) connect() {
	n.t.Helper()
	dial := func(context.Context, string) (conn net.Conn, err error) {
		n.Do(func() { conn, err = net.Dial("unix", socket) })
		return conn, err
	}
	conn, err := grpc.NewClient("passthrough:///containerd", grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		n.t.Fatal(err)
	}
	n.daemon.conn = conn
	n.cri = cri{runtime.NewRuntimeServiceClient(conn), runtime.NewImageServiceClient(conn)}
}

// context has a deadline, and its calls wait for a containerd that is still starting.
func (n *node) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	return ctx
}

// await repeats a check until it succeeds; containerd has no event for what this waits for.
func (n *node) await(what string, ask func() (bool, error)) {
	n.t.Helper()
	until := time.Now().Add(patience)
	for {
		ok, err := ask()
		if ok {
			return
		}
		if time.Now().After(until) {
			n.t.Fatalf("containerd is not %s: %v\n%s", what, err, n.said())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kill sends SIGKILL to containerd only: shims, sandboxes and a running plugin continue.
func (n *node) kill() { n.end("KILL") }

// stop ends containerd if it is running.
func (n *node) stop() { n.end("TERM") }

func (n *node) end(signal string) {
	n.t.Helper()
	d := n.daemon
	if d == nil {
		return
	}
	n.daemon = nil
	n.run("sh", "-c", `kill -$1 "$(cat "$0/pid")"`, n.dir, signal)
	_ = d.cmd.Wait()
	_ = d.conn.Close()
	if n.t.Failed() {
		n.t.Logf("containerd said:\n%s", n.said())
	}
}

// said returns the end of containerd's log, without irrelevant lines.
func (n *node) said() string {
	text, _ := os.ReadFile(filepath.Join(n.dir, "log"))
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, "level=info") })
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// alone requires that no shim, server or plugin runs when all sandboxes have been removed.
func (n *node) alone() {
	n.t.Helper()
	const script = `for p in /proc/[0-9]*; do [ -s $p/cmdline ] && cat $p/comm; done 2>/dev/null; true`
	n.await("alone", func() (bool, error) {
		left := slices.DeleteFunc(strings.Fields(n.run("sh", "-c", script)), func(name string) bool {
			return slices.Contains([]string{"sh", "cat", "containerd"}, name)
		})
		if len(left) > 0 {
			return false, fmt.Errorf("there are %v", left)
		}
		return true, nil
	})
}
