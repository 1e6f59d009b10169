package metrics

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// The types of a family.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// exposition is text in the format of Prometheus.
type exposition struct{ bytes.Buffer }

// family writes the head of a family; its samples follow.
func (e *exposition) family(name, kind, help string) {
	e.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// sample writes one sample. Labels are names and values in turn.
func (e *exposition) sample(name string, value float64, labels ...string) {
	e.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		e.WriteByte("{,"[min(i, 1)])
		e.WriteString(labels[i] + `="` + escaped(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		e.WriteByte('}')
	}
	e.WriteString(" " + number(value) + "\n")
}

// escaped returns the value of a label between its quotes.
func escaped(value string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(value, "\uFFFD"))
}

// number returns a value as Go's strconv and Prometheus read it.
func number(value float64) string {
	if math.IsInf(value, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

// yes returns the value of a condition.
func yes(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
