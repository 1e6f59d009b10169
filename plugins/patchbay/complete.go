package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/flagtext"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/netconfig"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// completeWord is the command that the scripts of `completion` call, and which help does not list: its arguments are the words of a
// command line, the last of them incomplete.
const completeWord = "__complete"

// complete prints the words that the last argument can become, one on a line. A name with other characters than those of printable.IsPlain is
// left out: shells expand what they complete. Errors end it without output, since nobody would read them.
func complete(out io.Writer, words []string) {
	if len(words) == 0 {
		return
	}
	last := len(words) - 1
	for _, word := range candidates(words[:last], words[last]) {
		if strings.HasPrefix(word, words[last]) && (printable.IsPlain(word) || strings.HasPrefix(word, "-")) {
			fmt.Fprintln(out, word)
		}
	}
}

// candidates returns the words that can follow those of before; word is the beginning of the next one.
func candidates(before []string, word string) []string {
	if len(before) == 0 {
		return commandNames()
	}
	c, err := find(before[0])
	if err != nil {
		return nil
	}
	flags := c.flagSet()
	if takesValue(flags, before[len(before)-1]) {
		return valuesOf(flags, strings.TrimLeft(before[len(before)-1], "-"), confDirIn(before))
	}
	if strings.HasPrefix(word, "-") {
		return flagNames(flags)
	}
	return argumentsOf(c, arguments(flags, before[1:]), confDirIn(before))
}

func commandNames() (names []string) {
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

func flagNames(flags *flag.FlagSet) (names []string) {
	flags.VisitAll(func(f *flag.Flag) { names = append(names, flagtext.Dashed(f.Name)) })
	return append(names, "--help")
}

// takesValue reports whether a word is a flag whose value is the next word.
func takesValue(flags *flag.FlagSet, word string) bool {
	f := flags.Lookup(strings.TrimLeft(word, "-"))
	if f == nil || !strings.HasPrefix(word, "-") {
		return false
	}
	boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !boolean.IsBoolFlag()
}

// arguments returns the words that are neither flags nor their values.
func arguments(flags *flag.FlagSet, words []string) (rest []string) {
	for i := 0; i < len(words); i++ {
		switch {
		case takesValue(flags, words[i]):
			i++
		case !strings.HasPrefix(words[i], "-"):
			rest = append(rest, words[i])
		}
	}
	return rest
}

// confDirIn returns the directory of networks that a command line names.
func confDirIn(words []string) string {
	if i := slices.Index(words, "--conf-dir"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	if dir := os.Getenv("NETCONFPATH"); dir != "" {
		return dir
	}
	return cli.DefaultConfDir
}

// valuesOf returns what the value of a flag can be; shells offer files where it is nothing.
func valuesOf(flags *flag.FlagSet, name, confDir string) []string {
	switch name {
	case "network":
		return networkNames(confDir)
	case "bridge":
		return interfaceNames("bridge")
	case "uplink":
		return interfaceNames("device")
	case "persist":
		return netconfig.Programs()
	case "output", "o":
		_, formats, _ := strings.Cut(flags.Lookup("output").Usage, "format: ")
		return strings.FieldsFunc(strings.ReplaceAll(formats, " or ", ","), func(r rune) bool { return r == ',' || r == ' ' })
	}
	return nil
}

// argumentsOf returns what the next argument of a command can be.
func argumentsOf(c command, before []string, confDir string) []string {
	if len(c.second) > 0 && len(before) == 0 && c.name != "ports" {
		return c.second
	}
	var words []string
	switch c.name {
	case "down", "detach":
		words = attachmentNames(func(a *inventory.Attachment) bool { return a.Owner == "cli" })
	case "inspect":
		words = attachmentNames(func(*inventory.Attachment) bool { return true })
	case "attach":
		words = netnsNames()
	case "explain":
		words = append(networkNames(confDir), attachmentNames(func(*inventory.Attachment) bool { return true })...)
	case "network":
		if before[0] == "rm" {
			words = slices.DeleteFunc(networkNames(confDir), func(name string) bool { return name == cli.DefaultName }) // built in
		}
	case "bridge":
		if before[0] == "delete" {
			words = interfaceNames("bridge")
		}
	case "ports":
		words = portsArguments(before)
	case "completion":
		words = shells()
	case "help":
		words = commandNames()
	}
	return slices.DeleteFunc(words, func(word string) bool { return slices.Contains(before, word) })
}

func networkNames(confDir string) []string {
	all, _ := cli.Networks(confDir)
	names := []string{cli.DefaultName}
	for _, n := range all {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func attachmentNames(wanted func(*inventory.Attachment) bool) (names []string) {
	all, _ := inventory.New(config.DefaultStateDir).Attachments("")
	for _, a := range all {
		if wanted(&a) {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// interfaceNames returns the names of the host's interfaces of a kind; "device" are hardware and lo.
func interfaceNames(kind string) (names []string) {
	survey, err := inventory.New(config.DefaultStateDir).Survey()
	if err != nil {
		return nil
	}
	for _, l := range survey.Links {
		if l.Kind == kind {
			names = append(names, l.Name)
		}
	}
	return names
}

// portsArguments returns what the next argument of `ports` can be: a port, or add or rm, which the name of an attachment follows, and then
// ports.
func portsArguments(before []string) []string {
	switch {
	case len(before) == 0:
		return append(publishedPorts(), portsWords()...)
	case len(before) == 1 && slices.Contains(portsWords(), before[0]):
		return attachmentNames(func(a *inventory.Attachment) bool { return a.Owner == "cli" })
	case before[0] == "rm":
		return publishedPorts()
	}
	return nil
}

func publishedPorts() []string {
	all, _ := inventory.New(config.DefaultStateDir).Ports("")
	return namesOf(all, func(p inventory.Publication) string { return p.Span() })
}

// netnsNames returns the names of network namespaces, as ip netns lists them.
func netnsNames() []string {
	const most = 10000
	names, _ := safefile.Names(cli.NetnsDir, most)
	slices.Sort(names)
	return names
}
