package main

import (
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Numbers of fields, from generated.proto of k8s.io/api/core/v1 (Node, NodeSpec, NodeStatus, NodeAddress) and of
// k8s.io/apimachinery/pkg/apis/meta/v1 (ObjectMeta, Timestamp).
const (
	objectMetadata, nodeSpec, nodeStatus = 1, 2, 3
	listMetadata, listItems              = 1, 2

	metaName, metaUID, metaResourceVersion, metaCreationTimestamp, metaAnnotations = 1, 5, 6, 8, 12

	entryKey, entryValue       = 1, 2
	timestampSeconds           = 1
	specPodCIDRs               = 7
	statusAddresses            = 5
	addressType, addressString = 1, 2
)

// wireField is a field of a message. Its bytes are those of the message, without a copy.
type wireField struct {
	number protowire.Number
	bytes  []byte // of a string or message
	value  uint64 // of a varint
}

// wireFields returns the fields of a message that are strings, messages or varints, and skips the others. An error ends it.
func wireFields(message []byte) iter.Seq2[wireField, error] {
	return func(yield func(wireField, error) bool) {
		for len(message) > 0 {
			number, kind, n := protowire.ConsumeTag(message)
			if n < 0 {
				yield(wireField{}, fmt.Errorf("protobuf: %w", protowire.ParseError(n)))
				return
			}
			message = message[n:]
			f := wireField{number: number}
			switch kind {
			case protowire.BytesType:
				f.bytes, n = protowire.ConsumeBytes(message)
			case protowire.VarintType:
				f.value, n = protowire.ConsumeVarint(message)
			default:
				f.number, n = 0, protowire.ConsumeFieldValue(number, kind, message)
			}
			if n < 0 {
				yield(wireField{}, fmt.Errorf("protobuf: field %d: %w", number, protowire.ParseError(n)))
				return
			}
			if message = message[n:]; f.number != 0 && !yield(f, nil) {
				return
			}
		}
	}
}

// Reset clears the object, and Unmarshal reads it from protobuf: the two methods that the serializer of client-go calls.
func (n *Node) Reset() { *n = Node{} }

// Unmarshal reads the fields of a Node that are needed. The text is not kept.
func (n *Node) Unmarshal(message []byte) error {
	for f, err := range wireFields(message) {
		switch {
		case err != nil:
			return err
		case f.number == objectMetadata:
			err = n.Metadata.unmarshal(f.bytes)
		case f.number == nodeSpec:
			err = n.unmarshalSpec(f.bytes)
		case f.number == nodeStatus:
			err = n.unmarshalStatus(f.bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) unmarshalSpec(message []byte) error {
	for f, err := range wireFields(message) {
		if err != nil {
			return err
		}
		if f.number == specPodCIDRs {
			n.Spec.PodCIDRs = append(n.Spec.PodCIDRs, string(f.bytes))
		}
	}
	return nil
}

func (n *Node) unmarshalStatus(message []byte) error {
	for f, err := range wireFields(message) {
		if err != nil {
			return err
		}
		if f.number == statusAddresses {
			kind, text, err := wirePair(f.bytes, addressType, addressString)
			if err != nil {
				return err
			}
			n.Status.Addresses = append(n.Status.Addresses, address{Type: string(kind), Address: string(text)})
		}
	}
	return nil
}

func (m *metadata) unmarshal(message []byte) error {
	for f, err := range wireFields(message) {
		switch {
		case err != nil:
			return err
		case f.number == metaName:
			m.Name = string(f.bytes)
		case f.number == metaUID:
			m.UID = string(f.bytes)
		case f.number == metaResourceVersion:
			m.ResourceVersion = string(f.bytes)
		case f.number == metaCreationTimestamp:
			m.CreationTimestamp, err = wireTime(f.bytes)
		case f.number == metaAnnotations:
			err = m.unmarshalAnnotation(f.bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *metadata) unmarshalAnnotation(entry []byte) error {
	key, value, err := wirePair(entry, entryKey, entryValue)
	if string(key) == metav1.InitialEventsAnnotationKey {
		m.Annotations.ListEnds = string(value)
	}
	return err
}

// wirePair returns two strings of a message.
func wirePair(message []byte, one, other protowire.Number) (first, second []byte, err error) {
	for f, err := range wireFields(message) {
		switch {
		case err != nil:
			return nil, nil, err
		case f.number == one:
			first = f.bytes
		case f.number == other:
			second = f.bytes
		}
	}
	return first, second, nil
}

// wireTime reads a Timestamp. As in JSON, it has whole seconds.
func wireTime(message []byte) (metav1.Time, error) {
	seconds := int64(0)
	for f, err := range wireFields(message) {
		if err != nil {
			return metav1.Time{}, err
		}
		if f.number == timestampSeconds {
			seconds = int64(f.value)
		}
	}
	if len(message) == 0 {
		return metav1.Time{}, nil
	}
	return metav1.Time{Time: time.Unix(seconds, 0)}, nil
}

// Reset clears the list, and Unmarshal reads it from protobuf, as those of Node.
func (l *NodeList) Reset() { *l = NodeList{} }

// Unmarshal reads a list.
func (l *NodeList) Unmarshal(message []byte) error {
	for f, err := range wireFields(message) {
		switch {
		case err != nil:
			return err
		case f.number == listMetadata:
			err = l.ListMeta.Unmarshal(f.bytes)
		case f.number == listItems:
			l.Items = append(l.Items, Node{})
			err = l.Items[len(l.Items)-1].Unmarshal(f.bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
