package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

// server encodes objects as an API server does, in one media type.
type server struct {
	t       *testing.T
	factory serializer.CodecFactory
	info    runtime.SerializerInfo
}

func newServer(t *testing.T, mediaType string) server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	factory := serializer.NewCodecFactory(scheme)
	info, is := runtime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), mediaType)
	if !is {
		t.Fatalf("no serializer for %s", mediaType)
	}
	return server{t, factory, info}
}

func (s server) encode(o runtime.Object) []byte {
	s.t.Helper()
	text, err := runtime.Encode(s.factory.EncoderForVersion(s.info.Serializer, corev1.SchemeGroupVersion), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// event returns an event with an object, as it is in the body of a watch.
func (s server) event(kind watch.EventType, o runtime.Object) []byte {
	s.t.Helper()
	var body bytes.Buffer
	w := s.info.StreamSerializer.NewFrameWriter(&body)
	text, err := runtime.Encode(s.info.StreamSerializer, &metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: s.encode(o)}})
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return body.Bytes()
}

// mediaTypes are those of accepted.
func mediaTypes(t *testing.T, run func(t *testing.T, s server)) {
	t.Helper()
	for mediaType := range strings.SplitSeq(accepted, ",") {
		t.Run(mediaType, func(t *testing.T) { run(t, newServer(t, mediaType)) })
	}
}

// TestCodec: what a server answers in protobuf or JSON is decoded: an object, a list, an error. Another kind, and what is torn, is an error.
func TestCodec(t *testing.T) {
	mediaTypes(t, func(t *testing.T, s server) {
		decoder, err := runtime.NewClientNegotiator(newCodec(), apiVersion()).Decoder(s.info.MediaType, nil)
		if err != nil {
			t.Fatal(err)
		}
		decode := func(o runtime.Object) runtime.Object {
			got, err := runtime.Decode(decoder, s.encode(o))
			if err != nil {
				t.Error(err)
			}
			return got
		}
		if n, is := decode(whole()).(*Node); !is || !equal(n, expected(whole())) {
			t.Errorf("%+v", n)
		}
		list := &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Node{*whole(), {}}}
		if l, is := decode(list).(*NodeList); !is || l.ResourceVersion != "7" || len(l.Items) != 2 || !equal(&l.Items[0], expected(whole())) {
			t.Errorf("%+v", l)
		}
		if e, is := decode(&metav1.Status{Code: 410, Reason: metav1.StatusReasonExpired}).(*metav1.Status); !is || e.Code != 410 || e.Reason != metav1.StatusReasonExpired {
			t.Errorf("%+v", e)
		}
		for _, wrong := range [][]byte{s.encode(whole())[:300], nil, s.encode(&corev1.Secret{})} {
			if o, err := runtime.Decode(decoder, wrong); err == nil {
				t.Errorf("%q: %+v", wrong, o)
			}
		}
	})
}

// TestWatchDecoded: the events of a watch, among them the bookmark behind a streamed list and the error of a resource version that is too old; a stream
// that is cut off is an error.
func TestWatchDecoded(t *testing.T) {
	mediaTypes(t, func(t *testing.T, s server) {
		objects, events, framer, err := runtime.NewClientNegotiator(newCodec(), apiVersion()).StreamDecoder(s.info.MediaType, nil)
		if err != nil {
			t.Fatal(err)
		}
		body := append(s.event(watch.Bookmark, whole()), s.event(watch.Error, &metav1.Status{Code: 410})...)
		body = append(body, s.event(watch.Modified, whole())[:300]...)
		d := restwatch.NewDecoder(streaming.NewDecoder(framer.NewFrameReader(io.NopCloser(bytes.NewReader(body))), events), objects)
		kind, o, err := d.Decode()
		if n, is := o.(*Node); err != nil || kind != watch.Bookmark || !is || n.GetObjectMeta().GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || n.Metadata.ResourceVersion != "77" {
			t.Errorf("%s %+v, %v", kind, o, err)
		}
		kind, o, err = d.Decode()
		if e, is := o.(*metav1.Status); err != nil || kind != watch.Error || !is || e.Code != 410 {
			t.Errorf("%s %+v, %v", kind, o, err)
		}
		if kind, o, err := d.Decode(); err == nil {
			t.Errorf("%s %+v", kind, o)
		}
	})
}
