package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// printYAML prints an object as YAML 1.2, with the fields in the order of its JSON. A scalar has its form in JSON, of which YAML is a
// superset: every string has quotes. The libraries for YAML build tables when a program starts, which each ADD would pay for.
func printYAML(out io.Writer, object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	y := yamlWriter{in: json.NewDecoder(bytes.NewReader(printable.JSON(text)))}
	y.in.UseNumber()
	if err := y.value(0, ""); err != nil {
		return err
	}
	_, err = io.WriteString(out, strings.TrimLeft(y.out.String(), " \n")+"\n")
	return err
}

// yamlWriter reads JSON and writes YAML in block style.
type yamlWriter struct {
	in  *json.Decoder
	out strings.Builder
}

// value writes the next value after a key or a dash. A list or an object in block style begins a new line at depth, unless lead, which
// is a space after a dash, says that it begins on this one.
func (y *yamlWriter) value(depth int, lead string) error {
	token, err := y.in.Token()
	if err != nil {
		return err
	}
	delimiter, block := token.(json.Delim)
	switch {
	case block && !y.in.More():
		fmt.Fprintf(&y.out, " %s%s", delimiter, map[json.Delim]string{'[': "]", '{': "}"}[delimiter])
	case block:
		err = y.block(delimiter, depth, lead)
	default:
		var text []byte
		text, err = json.Marshal(token)
		fmt.Fprintf(&y.out, " %s", text)
	}
	if err == nil && block {
		_, err = y.in.Token() // the end
	}
	return err
}

// block writes the members of a list or an object, one on a line.
func (y *yamlWriter) block(kind json.Delim, depth int, lead string) error {
	for first := true; y.in.More(); first = false {
		if first && lead != "" {
			y.out.WriteString(lead)
		} else {
			y.out.WriteString("\n" + strings.Repeat("  ", depth))
		}
		if kind == '[' {
			y.out.WriteString("-")
			if err := y.value(depth+1, " "); err != nil {
				return err
			}
			continue
		}
		key, err := y.in.Token()
		if err != nil {
			return err
		}
		name := fmt.Sprint(key)
		if !printable.IsPlain(name) {
			name = strconv.Quote(name)
		}
		y.out.WriteString(name + ":")
		if err := y.value(depth+1, ""); err != nil {
			return err
		}
	}
	return nil
}
