package nodes

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// asking is the variable of the environment that makes this program a client in the network namespace in which it is started.
const asking = "PATCHBAY_ASK"

// TestMain runs the tests, or the client: its arguments are hosts, and it prints a line for each.
func TestMain(m *testing.M) {
	if os.Getenv(asking) == "" {
		os.Exit(m.Run())
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, host := range os.Args[1:] {
		fmt.Println(page(&client, "http://"+host+"/cgi-bin/who"))
	}
}

// page returns what a server sends, with an IPv4 address in its own form and an IPv6 address without brackets; or the error.
func page(client *http.Client, url string) string {
	answer, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Sprint(answer.Status, err)
	}
	return strings.TrimSpace(strings.NewReplacer("::ffff:", "", "[", "", "]", "").Replace(string(text)))
}

// asker returns the command line of the client.
func asker(t *testing.T, hosts []string) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"env", asking + "=1", program}, hosts...)
}

// ask requests the page of each host from a pod: the name of the pod that answers and the address that it sees, or an error.
func (p pod) ask(t *testing.T, hosts ...string) []string {
	t.Helper()
	return linesOf(p.in(t, asker(t, hosts)...))
}

func linesOf(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// hostOf returns an address as part of a URL.
func hostOf(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// ask requests the page of each host from a node.
func (n *node) ask(t *testing.T, hosts ...string) []string {
	t.Helper()
	return linesOf(n.run(t, asker(t, hosts)...))
}

// askOutside requests the page of each host from the outside, which is behind the router of the LAN.
func (c *cluster) askOutside(t *testing.T, hosts ...string) []string {
	t.Helper()
	args := asker(t, hosts)
	return linesOf(c.lan.Outside.Run(t, args[0], args[1:]...))
}
