package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// printMachine prints kernel, CPUs and versions.
func printMachine(out io.Writer, p programs) error {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	ours, err := buildinfo.ReadFile(p.path("patchbay"))
	if err != nil {
		return err
	}
	reference, err := buildinfo.ReadFile(p.path("bridge"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Linux %s, %d CPUs%s; patchbay built with %s, reference plugins %s with %s\n",
		unix.ByteSliceToString(uts.Release[:]), runtime.NumCPU(), cpuModel(), ours.GoVersion, reference.Main.Version, reference.GoVersion)
	return err
}

// printLoad prints the load by other programs, which makes the figures less reliable.
func printLoad(out io.Writer, before load) error {
	now, err := loadNow()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nOther programs used %.0f %% of the CPU time during the run.\n", 100*now.others(before))
	return err
}

// cpuModel returns " (model name)", or "" if /proc/cpuinfo does not have it.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(text) {
		if name, model, ok := bytes.Cut(line, []byte(":")); ok && strings.TrimSpace(string(name)) == "model name" {
			return " (" + string(bytes.TrimSpace(model)) + ")"
		}
	}
	return ""
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }

// printTable prints a Markdown table. The first row is the header; the first column is text, the others are numbers.
func printTable(out io.Writer, title string, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n%s:\n\n", title)
	for n, row := range rows {
		for i, cell := range row {
			width := widths[i]
			if i == 0 {
				width = -width
			}
			fmt.Fprintf(&text, "| %*s ", width, cell)
		}
		text.WriteString("|\n")
		if n == 0 {
			text.WriteString(rule(widths))
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func rule(widths []int) string {
	line := "|" + strings.Repeat("-", widths[0]+2)
	for _, width := range widths[1:] {
		line += "|" + strings.Repeat("-", width+1) + ":"
	}
	return line + "|\n"
}
