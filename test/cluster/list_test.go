package cluster

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// nodeRequests returns how many requests for nodes the API server has had with a verb of its metrics, by the code of the answer.
func (s *apiServer) nodeRequests(verb string) map[string]int {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, apiURL+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiserver.AdminToken)
	answer, err := s.Transport().RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="nodes"`) || !strings.Contains(line, `verb="`+verb+`"`) {
			continue
		}
		_, code, _ := strings.Cut(line, `code="`)
		count, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
		if err != nil {
			s.t.Fatal(err)
		}
		all[code[:3]] += count
	}
	return all
}

// TestNoWatchList: an API server without the feature WatchList, as before Kubernetes 1.32: the agent lists PATCHBAY_NODES nodes, 1 000 by default, in
// pages, and does not need more memory than with a streamed list.
//
// Claim: From an API server that streams no list patchbay-agent requests 1 000 nodes in pages, and takes no more than 30 MB of memory
func TestNoWatchList(t *testing.T) {
	t.Parallel()
	nodes := scale(t, 1000)
	n := newFleet(t, nodes, "--feature-gates=WatchList=false")
	before := n.lab.api.nodeRequests("LIST")["200"]
	n.syncFleet(nodes)
	if refused := n.lab.api.nodeRequests("WATCH"); refused["422"] == 0 {
		t.Errorf("no streamed list was refused: %v", refused)
	}
	const page = 200
	if got, want := n.lab.api.nodeRequests("LIST")["200"]-before, (nodes+1+page-1)/page; got != want {
		t.Errorf("%d requests for a list, want %d", got, want)
	}
	checkMemory(t, n, nodes)
}
