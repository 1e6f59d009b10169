package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const nodeText = `{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-1", "uid": "u-1", "resourceVersion": "77", "creationTimestamp": "2026-11-29T10:00:00Z",
	"labels": {"a": "b"}, "annotations": {"k8s.io/initial-events-end": "true", "x": "y"}}, "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00::/64"]},
	"status": {"addresses": [{"type": "Hostname", "address": "node-1"}, {"type": "InternalIP", "address": "192.0.2.1"}, {"type": "ExternalIP", "address": "203.0.113.1"},
	{"type": "InternalIP", "address": "2001:db8::1"}], "images": [{"names": ["i"]}]}}`

// TestCompact: what the cache keeps of a Node object, also if it is transformed twice, as the objects of a streamed list are.
func TestCompact(t *testing.T) {
	var n Node
	if err := json.Unmarshal([]byte(nodeText), &n); err != nil {
		t.Fatal(err)
	}
	var object any = &n
	for range 2 {
		var err error
		if object, err = transform(object); err != nil {
			t.Fatal(err)
		}
		kept, _ := object.(*Node)
		read := kept.read
		if read.Name != "node-1" || read.UID != "u-1" || !read.Created.Equal(time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)) || len(read.PodCIDRs) != 2 || len(read.InternalIPs) != 2 ||
			read.InternalIPs[0].String() != "192.0.2.1" {
			t.Errorf("kept %+v", read)
		}
		if kept.Spec.PodCIDRs != nil || kept.Status.Addresses != nil {
			t.Error("the texts are kept too")
		}
	}
	m, err := meta.Accessor(object)
	if err != nil || m.GetName() != "node-1" || m.GetResourceVersion() != "77" || m.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := transform(&NodeList{}); err == nil {
		t.Error("another object is kept")
	}
}

// TestNodeCopies: a copy of an object and of a list is equal, and not the same.
func TestNodeCopies(t *testing.T) {
	n := &Node{Metadata: metadata{Name: "a"}}
	l := &NodeList{Items: []Node{*n}}
	if c := n.DeepCopyObject(); c == any(n) || !reflect.DeepEqual(c, n) {
		t.Errorf("%+v", c)
	}
	if c := l.DeepCopyObject(); c == any(l) || !reflect.DeepEqual(c, l) {
		t.Errorf("%+v", c)
	}
}
