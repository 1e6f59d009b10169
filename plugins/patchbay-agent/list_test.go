package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// pagedAPI is an API server that streams no list. It has nodes 0 to total-1, and gives as many at once as the limit says, all if there is none or
// a resource version, as the real one does. The first gone requests for a page behind the first one fail, as if the state of the first was forgotten.
type pagedAPI struct {
	server
	total int

	mu       sync.Mutex
	gone     int
	requests []string
}

// seen adds a request to the list.
func (p *pagedAPI) seen(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, fmt.Sprintf(format, args...))
}

func (p *pagedAPI) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// forgotten reports whether this request is to fail.
func (p *pagedAPI) forgotten() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone--
	return p.gone >= 0
}

func (p *pagedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.Header().Set("Content-Type", p.info.MediaType)
	switch {
	case q.Get("sendInitialEvents") != "":
		p.fail(w, metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: "sendInitialEvents is forbidden"})
	case q.Get("watch") != "":
		p.seen("watch from %s", q.Get("resourceVersion"))
		w.(http.Flusher).Flush() //nolint:forcetypeassert // that of net/http is one
		<-r.Context().Done()
	case q.Get("continue") != "" && p.forgotten():
		p.seen("forgotten at %s", q.Get("continue"))
		p.fail(w, metav1.Status{Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "the continue parameter is too old"})
	default:
		p.page(w, q)
	}
}

func (p *pagedAPI) fail(w http.ResponseWriter, s metav1.Status) {
	s.Status = metav1.StatusFailure
	w.WriteHeader(int(s.Code))
	_, _ = w.Write(p.encode(&s))
}

// page answers with a page.
func (p *pagedAPI) page(w http.ResponseWriter, q url.Values) {
	first, _ := strconv.Atoi(q.Get("continue"))
	end, _ := strconv.Atoi(q.Get("limit"))
	if end += first; end == first || end > p.total || q.Get("resourceVersion") != "" {
		end = p.total
	}
	p.seen("list %d to %d", first, end)
	list := &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	for i := first; i < end; i++ {
		n := whole()
		n.Name = fmt.Sprintf("node-%d", i)
		list.Items = append(list.Items, *n)
	}
	if end < p.total {
		list.Continue = strconv.Itoa(end)
	}
	_, _ = w.Write(p.encode(list))
}

// started returns an agent's connection to the server, which runs until the test ends.
func (p *pagedAPI) started(t *testing.T) *api {
	t.Helper()
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := newAPI(options{apiserver: s.URL, tokenFile: token}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go a.run(ctx)
	return a
}

// awaitWatch waits until the server has had the request for a watch.
func (p *pagedAPI) awaitWatch(t *testing.T) []string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if all := p.all(); len(all) > 0 && strings.HasPrefix(all[len(all)-1], "watch") {
			return all
		}
	}
	t.Fatalf("no watch after %q", p.all())
	return nil
}

// TestPages: an API server that streams no list: all nodes are requested in pages, and the watch begins with the state of the list. If the server has
// forgotten that state before the last page, the list begins anew.
//
// Claim: An API server that streams no list is asked for pages of 200 nodes, and for a new list if it has forgotten the state of the first page
func TestPages(t *testing.T) {
	mediaTypes(t, func(t *testing.T, s server) {
		pages := []string{"list 0 to 200", "list 200 to 400", "list 400 to 450"}
		p := &pagedAPI{server: s, total: 450}
		a := p.started(t)
		checkRequests(t, p.awaitWatch(t), append(slices.Clone(pages), "watch from 7"))
		checkNodes(t, a, 450)

		p = &pagedAPI{server: s, total: 450, gone: 1}
		a = p.started(t)
		checkRequests(t, p.awaitWatch(t), append([]string{"list 0 to 200", "forgotten at 200"}, append(pages, "watch from 7")...))
		checkNodes(t, a, 450)
	})
}

// TestPagesGone: while no list comes to its end, there is an error and no node, also for a list beside the cache.
func TestPagesGone(t *testing.T) {
	p := &pagedAPI{server: newServer(t, runtime.ContentTypeProtobuf), total: 450, gone: 3}
	a := p.started(t)
	for deadline := time.Now().Add(time.Minute); len(p.all()) < 4 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	if nodes, err := a.fresh(t.Context()); err == nil || !strings.Contains(err.Error(), "list nodes: the continue parameter is too old") {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
	if since, err := a.failing(); err == nil || since.IsZero() || a.synced() || len(a.nodes()) != 0 {
		t.Errorf("failing since %s: %v; synced %t, %d nodes", since, err, a.synced(), len(a.nodes()))
	}
	p.awaitWatch(t)
	checkNodes(t, a, 450)
}

func checkRequests(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("requests:\ngot  %q\nwant %q", got, want)
	}
}

// checkNodes waits for the nodes of a list, of which none may be kept whole, and requires that no error is left.
func checkNodes(t *testing.T, a *api, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !a.synced() && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	nodes := a.nodes()
	fresh, err := a.fresh(t.Context())
	if _, failing := a.failing(); err != nil || failing != nil || len(nodes) != want || len(fresh) != want {
		t.Errorf("%d nodes, %d of a fresh list, want %d; %v, %v", len(nodes), len(fresh), want, err, failing)
	}
	for _, n := range append(nodes, fresh...) {
		if len(n.PodCIDRs) == 0 || len(n.InternalIPs) == 0 {
			t.Fatalf("%+v", n)
		}
	}
	for _, o := range a.store.List() {
		if n, is := o.(*Node); !is || !n.compacted || n.Spec.PodCIDRs != nil || n.Status.Addresses != nil {
			t.Fatalf("%+v", o)
		}
	}
}
