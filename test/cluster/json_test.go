package cluster

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// jsonProxy forwards requests to the API server, and asks it for JSON whatever the client accepts.
type jsonProxy struct {
	url     string
	mu      sync.Mutex
	answers []string // media types
}

// jsonProxy starts a proxy in the namespace of the API server.
func (s *apiServer) jsonProxy() *jsonProxy {
	s.t.Helper()
	p := &jsonProxy{}
	var listener net.Listener
	var err error
	s.netns.Do(func() { listener, err = net.Listen("tcp", apiAddress+":0") })
	if err != nil {
		s.t.Fatal(err)
	}
	p.url = "http://" + listener.Addr().String()
	target, err := url.Parse(apiURL)
	if err != nil {
		s.t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Transport: s.Transport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Accept", "application/json")
		},
		ModifyResponse: func(r *http.Response) error {
			kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
			p.mu.Lock()
			defer p.mu.Unlock()
			p.answers = append(p.answers, kind)
			return nil
		},
	}
	server := &http.Server{Handler: forward} //nolint:gosec // it ends with the test
	go func() { _ = server.Serve(listener) }()
	s.t.Cleanup(func() { _ = server.Close() })
	return p
}

// TestJSON: an API server that answers in JSON alone, as one behind a proxy may: the agent reads its list and its events.
//
// Claim: patchbay-agent reads JSON from an API server that does not answer in protobuf
func TestJSON(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	n, p := l.nodes[0], l.api.jsonProxy()
	n.args = []string{"--apiserver", p.url}
	n.startAgent()
	n.awaitOthers()
	before := n.routes()
	o := other(101)
	l.api.create(o)
	n.awaitRoutes(before[0], o.route(0), before[1], o.route(1))
	o.addresses = other(102).addresses
	l.api.setAddresses(o)
	n.awaitRoutes(before[0], o.route(0), before[1], o.route(1))
	l.api.remove(o.name)
	n.awaitRoutes(before...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if kinds := slices.Compact(slices.Sorted(slices.Values(p.answers))); !slices.Equal(kinds, []string{"application/json"}) {
		t.Errorf("the API server answered with %q", kinds)
	}
}
