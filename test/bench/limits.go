package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// limitsFile is the file limits: lines of "metric min|max value", and comments.
//
//go:embed limits
var limitsFile string

// metric is a ratio, comparable between machines.
type metric struct {
	name  string // as in the file limits
	text  string // as printed
	value float64
}

// limit is the least or greatest allowed value of a metric.
type limit struct {
	atLeast bool
	value   float64
}

func (l limit) String() string {
	if l.atLeast {
		return fmt.Sprintf("limit: at least %g", l.value)
	}
	return fmt.Sprintf("limit: at most %g", l.value)
}

func (l limit) broken(value float64) bool {
	if l.atLeast {
		return value < l.value
	}
	return value > l.value
}

// parseLimits parses the file limits. Errors name the line.
func parseLimits(text string) (map[string]limit, error) {
	limits := map[string]limit{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		words, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(words)
		if len(fields) == 0 {
			continue
		}
		name, l, err := parseLimit(fields)
		if _, twice := limits[name]; err == nil && twice {
			err = fmt.Errorf("%s has a limit already", name)
		}
		if err != nil {
			return nil, fmt.Errorf("limits, line %d: %w", number, err)
		}
		limits[name] = l
	}
	return limits, nil
}

func parseLimit(fields []string) (string, limit, error) {
	if len(fields) != 3 || fields[1] != "min" && fields[1] != "max" {
		return "", limit{}, fmt.Errorf("%q is not of the form: metric min|max value", strings.Join(fields, " "))
	}
	value, err := strconv.ParseFloat(fields[2], 64)
	if err != nil {
		return "", limit{}, fmt.Errorf("%s: %w", fields[0], err)
	}
	return fields[0], limit{atLeast: fields[1] == "min", value: value}, nil
}

// checkLimits prints every metric with its limit. The error names the broken limits, and limits whose metric does not exist.
func checkLimits(out io.Writer, found []metric, limits map[string]limit) error {
	fmt.Fprintln(out)
	var err error
	measured := map[string]bool{}
	for _, m := range found {
		measured[m.name] = true
		l, limited := limits[m.name]
		if !limited {
			fmt.Fprintf(out, "%s: %.2f\n", m.text, m.value)
			continue
		}
		fmt.Fprintf(out, "%s: %.2f (%s)\n", m.text, m.value, l)
		if l.broken(m.value) {
			err = errors.Join(err, fmt.Errorf("limit broken: %s is %.2f, %s", m.name, m.value, l))
		}
	}
	for name := range limits {
		if !measured[name] {
			err = errors.Join(err, fmt.Errorf("limit of %s: no such metric", name))
		}
	}
	return err
}
