package main

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// TestInterpret: the kind is the one that a parser of the whole object finds, whatever the object begins with.
func TestInterpret(t *testing.T) {
	for _, text := range []string{
		`{"kind":"Node","apiVersion":"v1","metadata":{}}`, `{"apiVersion":"v1","kind":"Node"}`, `{"kind":"NodeList","apiVersion":"v1"}`, `{"kind":"Node","apiVersion":"v1beta1"}`,
		`{"kind":"Status","apiVersion":"v1","code":410}`, `{"type":"ADDED","object":{"kind":"Node","apiVersion":"v1"}}`, ` {"kind" : "Node"}`, `{}`,
	} {
		want, err := json.DefaultMetaFactory.Interpret([]byte(text))
		got, failed := firstBytes{}.Interpret([]byte(text))
		if err != nil || failed != nil || *got != *want {
			t.Errorf("%s: got %v, %v; want %v, %v", text, got, failed, want, err)
		}
	}
}

// TestCodec: a Node object, an event of a watch and an error are decoded; what only begins as an object is not.
func TestCodec(t *testing.T) {
	c := newJSONCodec()
	decoder := c.DecoderToVersion(c.Serializer, apiVersion())
	for text, check := range map[string]func(runtime.Object) bool{
		`{"kind":"Node","apiVersion":"v1","metadata":{"name":"n"}}`: func(o runtime.Object) bool { n, is := o.(*Node); return is && n.Metadata.Name == "n" },
		`{"kind":"NodeList","apiVersion":"v1","items":[{},{}]}`:     func(o runtime.Object) bool { l, is := o.(*NodeList); return is && len(l.Items) == 2 },
		`{"kind":"Status","apiVersion":"v1","code":410}`:            func(o runtime.Object) bool { s, is := o.(*metav1.Status); return is && s.Code == 410 },
	} {
		o, err := runtime.Decode(decoder, []byte(text))
		if err != nil || !check(o) {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
	var event metav1.WatchEvent
	if _, _, err := c.StreamSerializer.Decode([]byte(`{"type":"MODIFIED","object":{"kind":"Node"}}`), nil, &event); err != nil || event.Type != "MODIFIED" || len(event.Object.Raw) == 0 {
		t.Errorf("%+v, %v", event, err)
	}
	for _, text := range []string{`{"kind":"Node","apiVersion":"v1"`, `{"kind":"Node","apiVersion":"v1"}}`, `{"kind":"Pod","apiVersion":"v1"}`, `{"type":"`} {
		if o, err := runtime.Decode(decoder, []byte(text)); err == nil {
			t.Errorf("%s: %+v", text, o)
		}
	}
}
