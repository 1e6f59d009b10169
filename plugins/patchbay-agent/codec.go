package main

import (
	"bytes"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// jsonCodec is a runtime.NegotiatedSerializer for JSON alone, which reads the kind of an object from its first bytes. The one of client-go
// parses each object once more for it, which is a third of the work: most of an object is not decoded.
type jsonCodec struct{ runtime.SerializerInfo }

// newJSONCodec returns the codec for the types of this program.
func newJSONCodec() jsonCodec {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(apiVersion(), &Node{}, &NodeList{})
	metav1.AddToGroupVersion(scheme, apiVersion())
	s := json.NewSerializerWithOptions(firstBytes{}, scheme, scheme, json.SerializerOptions{})
	return jsonCodec{runtime.SerializerInfo{
		MediaType: runtime.ContentTypeJSON, MediaTypeType: "application", MediaTypeSubType: "json", EncodesAsText: true, Serializer: s, StrictSerializer: s,
		StreamSerializer: &runtime.StreamSerializerInfo{EncodesAsText: true, Serializer: s, Framer: json.Framer},
	}}
}

// apiVersion is the version of Node objects.
func apiVersion() schema.GroupVersion { return schema.GroupVersion{Version: "v1"} }

// SupportedMediaTypes returns JSON.
func (c jsonCodec) SupportedMediaTypes() []runtime.SerializerInfo {
	return []runtime.SerializerInfo{c.SerializerInfo}
}

// EncoderForVersion returns the encoder: there is one version.
func (c jsonCodec) EncoderForVersion(e runtime.Encoder, _ runtime.GroupVersioner) runtime.Encoder {
	return e
}

// DecoderToVersion returns the decoder: there is one version.
func (c jsonCodec) DecoderToVersion(d runtime.Decoder, _ runtime.GroupVersioner) runtime.Decoder {
	return runtime.WithoutVersionDecoder{Decoder: d}
}

// firstBytes finds the kind of an object.
type firstBytes struct{}

// Interpret returns the kind of an object. The API server writes kind and apiVersion first, and the event of a watch has neither; what
// begins in another way is parsed.
func (firstBytes) Interpret(data []byte) (*schema.GroupVersionKind, error) {
	switch {
	case bytes.HasPrefix(data, []byte(`{"kind":"Node","apiVersion":"v1"`)):
		kind := apiVersion().WithKind("Node")
		return &kind, nil
	case bytes.HasPrefix(data, []byte(`{"type":"`)):
		return &schema.GroupVersionKind{}, nil
	}
	return json.DefaultMetaFactory.Interpret(data)
}
