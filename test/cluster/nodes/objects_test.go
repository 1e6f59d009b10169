package nodes

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

type object = apiserver.Object

// apply creates the objects of a manifest.
func (c *cluster) apply(t *testing.T, manifest string) {
	t.Helper()
	for text := range strings.SplitSeq(manifest, "\n---\n") {
		o := object{}
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		c.api.Must(t, "POST", collection(o), o)
	}
}

// collection returns the path of the objects of the kind of o.
func collection(o object) string {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	meta, _ := o["metadata"].(object)
	path := "/apis/" + version
	if version == "v1" {
		path = "/api/v1"
	}
	if !strings.HasPrefix(kind, "Cluster") {
		namespace, ok := meta["namespace"].(string)
		if !ok {
			namespace = "default"
		}
		path += "/namespaces/" + namespace
	}
	return path + "/" + strings.ToLower(kind) + "s"
}

// applyAgent applies conf/kubernetes/agent.yaml with what its first lines say to set, and nothing else.
func (c *cluster) applyAgent(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../../conf/kubernetes/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest := string(text)
	for old, set := range map[string]string{
		`["10.244.0.0/16"]`: `["` + strings.ReplaceAll(clusterCIDRs, ",", `", "`) + `"]`,
		"SERVER:6443":       apiAddress + ":6443",
	} {
		if strings.Count(manifest, old) != 1 {
			t.Fatalf("agent.yaml does not have %q once", old)
		}
		manifest = strings.Replace(manifest, old, set, 1)
	}
	c.apply(t, manifest)
}

// awaitReady waits until kubelets report all nodes as Ready.
func (c *cluster) awaitReady(t *testing.T) {
	t.Helper()
	apiserver.Eventually(t, "nodes are Ready", func() error {
		var all []error
		for _, n := range c.nodes {
			all = append(all, n.ready())
		}
		return errors.Join(all...)
	})
}

// ready returns nil for a node that is Ready, otherwise why not.
func (n *node) ready() error {
	var o struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := n.c.api.Request("GET", "/api/v1/nodes/"+n.name, nil, &o); err != nil {
		return err
	}
	message := "no condition Ready"
	for _, condition := range o.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return nil
		}
		if condition.Type == "Ready" {
			message = condition.Message
		}
	}
	return fmt.Errorf("%s: %s", n.name, message)
}

// web is a Deployment of servers, spread over the nodes.
const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 12
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
        - {name: server, image: "` + serverImage + `", imagePullPolicy: Never}
`

// scale sets the number of pods of web, and waits for them.
func (c *cluster) scale(t *testing.T, count int) []pod {
	t.Helper()
	c.api.Must(t, "PATCH", "/apis/apps/v1/namespaces/default/deployments/web", object{"spec": object{"replicas": count}})
	return c.awaitPods(t, "default", "app=web", count)
}
