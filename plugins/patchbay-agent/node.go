package main

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// Node is a Node object with the fields that are needed. Of 14 kB, most of it image names, a few hundred bytes are decoded, and less is
// kept (compact).
type Node struct {
	metav1.TypeMeta `json:",inline"`

	Metadata metadata `json:"metadata"`
	Spec     struct {
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []address `json:"addresses"`
	} `json:"status"`

	compacted bool
	read      cluster.Node // set by compact, which clears Spec and Status
}

type metadata struct {
	Name              string      `json:"name"`
	UID               string      `json:"uid"`
	ResourceVersion   string      `json:"resourceVersion"`
	CreationTimestamp metav1.Time `json:"creationTimestamp"`
	Annotations       struct {
		ListEnds string `json:"k8s.io/initial-events-end,omitempty"` // of the bookmark behind a streamed list
	} `json:"annotations"`
}

type address struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// NodeList is a list of Node objects.
type NodeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Node `json:"items"`
}

// GetObjectMeta returns what client-go asks for.
func (n *Node) GetObjectMeta() metav1.Object {
	m := &metav1.ObjectMeta{
		Name: n.Metadata.Name, UID: types.UID(n.Metadata.UID), ResourceVersion: n.Metadata.ResourceVersion,
		CreationTimestamp: n.Metadata.CreationTimestamp,
	}
	if n.Metadata.Annotations.ListEnds != "" {
		m.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: n.Metadata.Annotations.ListEnds}
	}
	return m
}

// DeepCopyObject copies the object.
func (n *Node) DeepCopyObject() runtime.Object {
	other := *n
	return &other // nothing writes to the slices
}

// DeepCopyObject copies the list.
func (l *NodeList) DeepCopyObject() runtime.Object {
	other := *l
	other.Items = append([]Node(nil), l.Items...)
	return &other
}

// transform compacts an object of the cache. Those of a list are compacted by then, and those of a streamed list are transformed twice.
func transform(object any) (any, error) {
	n, is := object.(*Node)
	if !is {
		return nil, fmt.Errorf("cache of nodes: unexpected %T", object)
	}
	if n.compacted {
		return n, nil
	}
	small := n.compact()
	return &small, nil
}

// compact returns the object with what a plan needs, already parsed, and without the rest.
func (n *Node) compact() Node { return Node{Metadata: n.Metadata, compacted: true, read: n.parse()} }

// parse reads what a plan needs.
func (n *Node) parse() cluster.Node {
	o := cluster.Object{Name: n.Metadata.Name, UID: n.Metadata.UID, Created: n.Metadata.CreationTimestamp.Time, PodCIDRs: n.Spec.PodCIDRs}
	for _, a := range n.Status.Addresses {
		if a.Type == "InternalIP" {
			o.InternalIPs = append(o.InternalIPs, a.Address)
		}
	}
	return o.Node()
}
