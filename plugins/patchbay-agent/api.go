package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// api is the connection to the API server, and a cache of all nodes.
type api struct {
	client     *rest.RESTClient
	store      cache.Store
	controller cache.Controller

	connections connections

	mu    sync.Mutex
	since time.Time // of the first failure after the last success; zero: no failure
	err   error
}

// newAPI prepares the connection. changed is called, in another goroutine, when a node has appeared, has gone, or has changed in a way
// that concerns a plan: most changes of a Node object, such as the status that kubelet reports every few minutes, do not.
func newAPI(o options, changed func()) (*api, error) {
	c, err := clientConfig(o)
	if err != nil {
		return nil, err
	}
	a := &api{}
	setHealthCheck()
	c.Dial = a.connections.dial
	if a.client, err = rest.RESTClientFor(c); err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	a.store, a.controller = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{ListWithContextFunc: a.list, WatchFuncWithContext: a.watch},
		ObjectType:    &Node{},
		Transform:     transform,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { changed() },
			DeleteFunc: func(any) { changed() },
			UpdateFunc: func(before, after any) {
				b, _ := before.(*Node)
				n, _ := after.(*Node)
				if b == nil || n == nil || !n.read.Same(b.read) {
					changed()
				}
			},
		},
	})
	return a, nil
}

// clientConfig returns how the API server is reached: as pods do, or by --apiserver.
func clientConfig(o options) (*rest.Config, error) {
	c := &rest.Config{Host: o.apiserver, BearerTokenFile: o.tokenFile, TLSClientConfig: rest.TLSClientConfig{CAFile: o.caFile}}
	if o.apiserver == "" {
		var err error
		if c, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("find the API server: %w; set --apiserver", err)
		}
	}
	gv := apiVersion()
	c.APIPath, c.GroupVersion, c.NegotiatedSerializer = "/api", &gv, newCodec()
	c.AcceptContentTypes, c.UserAgent = accepted, "patchbay-agent/"+version
	return c, nil
}

// run fills the cache and keeps it, until the context ends. After a failure it connects again, with a pause of up to 30 s.
func (a *api) run(ctx context.Context) { a.controller.RunWithContext(ctx) }

// watch asks for no compression: Kubernetes 1.37 would compress the events behind a streamed list one by one, which takes a third of the time
// that an event takes here, and as much at the server for each watcher.
func (a *api) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	w, err := a.client.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec).SetHeader("Accept-Encoding", "identity").Watch(ctx)
	a.note(err)
	return w, err
}

// note keeps since when requests fail.
func (a *api) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err = err; err == nil {
		a.since = time.Time{}
	} else if a.since.IsZero() {
		a.since = time.Now()
	}
}

// failing returns since when requests fail, and why; nil if the last one succeeded.
func (a *api) failing() (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.err
}

// synced reports whether the cache has had a whole list.
func (a *api) synced() bool { return a.controller.HasSynced() }

// nodes returns the nodes of the cache.
func (a *api) nodes() []cluster.Node {
	list := a.store.List()
	nodes := make([]cluster.Node, 0, len(list))
	for _, object := range list {
		if n, is := object.(*Node); is {
			nodes = append(nodes, n.read)
		}
	}
	return nodes
}
