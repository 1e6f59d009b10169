package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// listTimeout bounds fresh, and listPage is how many nodes are requested at a time: each takes 14 kB until it is read.
const (
	listTimeout = 30 * time.Second
	listPage    = 200
)

// list requests all nodes, as the cache does from an API server that does not stream them: one without the feature WatchList, which Kubernetes
// before 1.32 does not have and 1.33 has switched off. Of a page only what a plan needs is kept before the next one is requested: client-go would
// ask for all nodes in one answer, because it gives a resource version, for which the server ignores the limit. Without one the server answers with the
// newest state, which is at least as new as the one that options ask for, and all pages are of that state.
//
// When the server has forgotten that state meanwhile (410 Gone), the cache requests a whole list once more, and then after a pause.
func (a *api) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	all := &NodeList{}
	for options := (metav1.ListOptions{Limit: listPage}); ; {
		page := &NodeList{}
		err := a.client.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(page)
		a.note(err)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			all.Items = append(all.Items, page.Items[i].compact())
		}
		if options.Continue = page.Continue; options.Continue == "" {
			all.ResourceVersion = page.ResourceVersion
			return all, nil
		}
	}
}

// fresh requests a list of all nodes, for a plan without the cache.
func (a *api) fresh(ctx context.Context) (nodes []cluster.Node, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	object, err := a.list(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	all, _ := object.(*NodeList)
	for i := range all.Items {
		nodes = append(nodes, all.Items[i].read)
	}
	return nodes, nil
}
