package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// accepted is the header Accept of requests: protobuf, of which Node skips most without a copy, and JSON from what answers nothing else, such as a
// proxy.
const accepted = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

// apiVersion is the version of Node objects.
func apiVersion() schema.GroupVersion { return schema.GroupVersion{Version: "v1"} }

// newCodec returns the codec for the types of this program, and for errors and events of a watch.
func newCodec() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(apiVersion(), &Node{}, &NodeList{})
	metav1.AddToGroupVersion(scheme, apiVersion())
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}
