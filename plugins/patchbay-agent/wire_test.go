package main

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// whole is a Node with fields of all kinds besides those that are read.
func whole() *corev1.Node {
	now := metav1.NewTime(time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC))
	grace := int64(3)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "node-1", UID: types.UID("u-1"), ResourceVersion: "77", Generation: 5, CreationTimestamp: now, DeletionTimestamp: &now, DeletionGracePeriodSeconds: &grace,
			Labels: map[string]string{"a": "b"}, Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true", "x": "y"},
			OwnerReferences: []metav1.OwnerReference{{Name: "other", UID: "u-2"}}, Finalizers: []string{"f"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", Time: &now, FieldsV1: metav1.NewFieldsV1(`{"f:status":{}}`)}},
		},
		Spec: corev1.NodeSpec{PodCIDR: "10.244.1.0/24", PodCIDRs: []string{"10.244.1.0/24", "fd00::/64"}, ProviderID: "p", Unschedulable: true, Taints: []corev1.Taint{{Key: "k"}}},
		Status: corev1.NodeStatus{
			Capacity:   corev1.ResourceList{"cpu": resource.MustParse("4")},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, LastHeartbeatTime: now}},
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "node-1"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeInternalIP, Address: "2001:db8::1"}},
			Images:     []corev1.ContainerImage{{Names: []string{"image"}, SizeBytes: 1 << 40}},
		},
	}
}

// expected returns what is read of a Node.
func expected(n *corev1.Node) *Node {
	want := &Node{Metadata: metadata{Name: n.Name, UID: string(n.UID), ResourceVersion: n.ResourceVersion, CreationTimestamp: n.CreationTimestamp}}
	want.Metadata.Annotations.ListEnds = n.Annotations[metav1.InitialEventsAnnotationKey]
	want.Spec.PodCIDRs = n.Spec.PodCIDRs
	for _, a := range n.Status.Addresses {
		want.Status.Addresses = append(want.Status.Addresses, address{Type: string(a.Type), Address: a.Address})
	}
	return want
}

// equal compares what a plan and client-go use.
func equal(a, b *Node) bool {
	return a.Metadata.CreationTimestamp.Equal(&b.Metadata.CreationTimestamp) && reflect.DeepEqual(bare(a), bare(b))
}

// bare returns a copy without the time, and without the difference between no list and an empty one.
func bare(n *Node) Node {
	c := Node{Metadata: n.Metadata}
	c.Metadata.CreationTimestamp = metav1.Time{}
	c.Spec.PodCIDRs = append(c.Spec.PodCIDRs, n.Spec.PodCIDRs...)
	c.Status.Addresses = append(c.Status.Addresses, n.Status.Addresses...)
	return c
}

// TestUnmarshal: of a Node and of a list the fields that are needed are read; what is cut off is an error.
func TestUnmarshal(t *testing.T) {
	node := whole()
	message, err := node.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var n Node
	if err := n.Unmarshal(message); err != nil || !equal(&n, expected(node)) {
		t.Errorf("%v: %+v, want %+v", err, n, expected(node))
	}
	if n.Metadata.Name != "node-1" || n.Metadata.Annotations.ListEnds != "true" || len(n.Spec.PodCIDRs) != 2 || len(n.Status.Addresses) != 3 {
		t.Errorf("%+v", n)
	}
	cut := 0
	for i := range message {
		n.Reset()
		if n.Unmarshal(message[:i]) != nil {
			cut++
		}
	}
	if cut < len(message)*9/10 { // between two fields a message ends as a whole one does
		t.Errorf("%d of %d cut messages are errors", cut, len(message))
	}
	list := &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "78", Continue: "more"}, Items: []corev1.Node{*node, {}}}
	if message, err = list.Marshal(); err != nil {
		t.Fatal(err)
	}
	var l NodeList
	if err := l.Unmarshal(message); err != nil || len(l.Items) != 2 || !equal(&l.Items[0], expected(node)) || l.ResourceVersion != "78" || l.Continue != "more" {
		t.Errorf("%v: %+v", err, l)
	}
}

// TestUnmarshalSkips: what is not needed of a Node is not copied, however long it is.
func TestUnmarshalSkips(t *testing.T) {
	count := func(images int) float64 {
		node := whole()
		for range images {
			node.Status.Images = append(node.Status.Images, corev1.ContainerImage{Names: []string{"registry.example.com/team/application"}})
			node.Annotations["annotation-"+string(rune('a'+len(node.Annotations)))] = "value"
		}
		message, err := node.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(100, func() {
			var n Node
			_ = n.Unmarshal(message)
		})
	}
	if few, many := count(0), count(20); few != many {
		t.Errorf("%v allocations, with more images and annotations %v", few, many)
	}
}

// FuzzUnmarshal: whatever Node k8s.io/api reads from a message, the same is read here; other messages are an error or are read as well.
func FuzzUnmarshal(f *testing.F) {
	for _, n := range []*corev1.Node{{}, whole(), {ObjectMeta: metav1.ObjectMeta{Name: "name", CreationTimestamp: metav1.Unix(-1, 0)}}} {
		message, err := n.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
		f.Add(append(message, message...)) // fields that occur twice
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var n, again Node
		var node corev1.Node
		failed := n.Unmarshal(message)
		if node.Unmarshal(message) != nil {
			return
		}
		if want := expected(&node); failed == nil && !equal(&n, want) {
			t.Errorf("%+v, want %+v", n, want)
		}
		canonical, err := node.Marshal()
		if err != nil {
			t.Skip(err)
		}
		if err := again.Unmarshal(canonical); err != nil || !equal(&again, expected(&node)) {
			t.Errorf("%v: %+v, want %+v", err, again, expected(&node))
		}
	})
}
