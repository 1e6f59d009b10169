package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/flagtext"
)

// manPage prints the manual page of a command, in the macros of man(7), with the text of its help.
func (c command) manPage(out io.Writer) {
	manHead(out, "patchbay-"+c.name, c.short)
	fmt.Fprintf(out, ".SH SYNOPSIS\n.B patchbay %s\n", roff(c.name))
	if takes := c.synopsis(); takes != "" {
		fmt.Fprintf(out, "%s\n", roff(takes))
	}
	if c.long != "" {
		fmt.Fprintf(out, ".SH DESCRIPTION\n%s", manText(c.long))
	}
	if c.flags != nil {
		fmt.Fprint(out, ".SH OPTIONS\n")
		c.flagSet().VisitAll(func(f *flag.Flag) { manFlag(out, f) })
	}
	fmt.Fprint(out, ".SH SEE ALSO\n.BR patchbay (1)\n")
}

// synopsis returns what follows the name of a command on its line.
func (c command) synopsis() string {
	takes := c.takes
	if len(c.second) > 0 {
		takes = strings.TrimSpace("{" + strings.Join(c.second, "|") + "} " + takes)
	}
	if c.flags != nil {
		takes = strings.TrimSpace("[OPTION...] " + takes)
	}
	return takes
}

// manOverview prints patchbay(1), which lists the commands.
func manOverview(out io.Writer) {
	manHead(out, "patchbay", "connect network namespaces to Linux bridges")
	fmt.Fprint(out, ".SH SYNOPSIS\n.B patchbay\nCOMMAND [ARGUMENT...]\n.SH DESCRIPTION\n"+
		"A CNI plugin if CNI_COMMAND is set in the environment, else a command line program.\n.SH COMMANDS\n")
	for _, c := range commands() {
		fmt.Fprintf(out, ".TP\n.BR patchbay\\-%s (1)\n%s\n", roff(c.name), roffLine(c.short))
	}
	fmt.Fprint(out, ".SH SEE ALSO\n.BR ip\\-netns (8),\n.BR bridge (8),\n.BR nft (8)\n")
}

func manHead(out io.Writer, name, short string) {
	fmt.Fprintf(out, ".TH \"%s\" 1 \"\" \"patchbay %s\" \"patchbay\"\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(name)), roff(version), roff(name), roff(short))
}

// manText returns a text in paragraphs; lines that begin with a space stay as they are.
func manText(text string) string {
	var page strings.Builder
	fixed := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if block := strings.HasPrefix(line, " "); block != fixed && line != "" {
			page.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[block])
			fixed = block
		}
		if line == "" {
			page.WriteString(".PP\n")
			continue
		}
		page.WriteString(roffLine(line) + "\n")
	}
	if fixed {
		page.WriteString(".fi\n")
	}
	return page.String()
}

func manFlag(out io.Writer, f *flag.Flag) {
	value, usage := flag.UnquoteUsage(f)
	fmt.Fprintf(out, ".TP\n.BI \"%s\" \" %s\"\n", roff(flagtext.Dashed(f.Name)), roff(value))
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
		usage += fmt.Sprintf(" (default %q)", f.DefValue)
	}
	fmt.Fprintf(out, "%s\n", roffLine(usage))
}

// roff escapes a text inside a line of roff(7).
func roff(text string) string { return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text) }

// roffLine escapes a whole line: a dot or an apostrophe at its begin would be a request.
func roffLine(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + roff(line)
	}
	return roff(line)
}
