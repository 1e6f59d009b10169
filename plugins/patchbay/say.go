package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// The greatest lengths in characters of texts that others chose.
const (
	maxCell  = 320 // of a name in a table: namespace and pod of Kubernetes have at most 317
	maxError = 8000
)

// sayLine prints one line; control characters in names are escaped.
func sayLine(out io.Writer, format string, args ...any) {
	fmt.Fprintln(out, printable.Text(fmt.Sprintf(format, args...), 0))
}

// complain prints one line on stderr.
func complain(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "patchbay:", printable.Text(fmt.Sprintf(format, args...), maxError))
}

// rowsUnseen reports whether stderr is a terminal and stdout is not.
func rowsUnseen() bool {
	_, _, watched := sizeOf(os.Stderr)
	_, _, rows := sizeOf(os.Stdout)
	return watched && !rows
}

// verboseEnv is a variable that makes a verb print its notes on stderr.
const verboseEnv = "PATCHBAY_VERBOSE"

// noted prints a note of a verb, if that is asked for: a runtime keeps stderr in its log.
func noted(sentence string) {
	if os.Getenv(verboseEnv) != "" {
		complain("%s", sentence)
	}
}

// oneLine returns the text of an error, which may join several, on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// cell returns a text for a table, "-" for an empty one.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return printable.Text(text, maxCell)
}
