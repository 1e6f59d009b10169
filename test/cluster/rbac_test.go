package cluster

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// manifest returns the objects of conf/kubernetes/agent.yaml.
func (l *lab) manifest() (objects []object) {
	l.t.Helper()
	text, err := os.ReadFile("../../conf/kubernetes/agent.yaml")
	if err != nil {
		l.t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		o := object{}
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			l.t.Fatal(err)
		}
		objects = append(objects, o)
	}
}

// authorize gives the service account the role of the manifest, and nothing else.
func (l *lab) authorize() {
	l.t.Helper()
	for _, o := range l.manifest() {
		kind, _ := o["kind"].(string)
		if strings.HasPrefix(kind, "ClusterRole") {
			l.api.must("POST", "/apis/rbac.authorization.k8s.io/v1/"+strings.ToLower(kind)+"s", o, nil)
		}
	}
}
