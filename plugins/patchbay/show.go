package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// showFlags are the flags of `patchbay show`.
type showFlags struct {
	stateDir, output string
	ascii            bool
	width            int
	topo.Options
}

// showCommand draws what is patched into what.
func showCommand() command {
	f := &showFlags{}
	return command{
		name: "show", short: "draw this host's bridges, cables and namespaces",
		long: `Draws this host: its bridges with their sockets, the cables plugged into them, and the
namespaces at their other ends, from the kernel and the records. Where a cable, an address of
a container, a published port or a record is not what it should be, the picture has a mark and
a sentence below it; "8080/tcp -> 80" in a box is a port of the host and where it leads; the verb CHECK also compares routes, gateways and forwarding. Nothing is changed. Without
root the records and the inside of namespaces cannot be seen, and the command says so.`,
		flags: f.register, run: f.run,
	}
}

func (f *showFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.Bridge, "bridge", "", "only this bridge")
	flags.StringVar(&f.Network, "network", "", "only attachments of this network")
	flags.StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, "where the records are")
	flags.StringVar(&f.output, "output", "text", "text or json")
	flags.StringVar(&f.output, "o", "text", "short for -output")
	flags.BoolVar(&f.ascii, "ascii", false, "draw with ASCII only")
	flags.IntVar(&f.width, "width", 0, "columns, at least 40 (default the terminal's, else 80)")
}

func (f *showFlags) run(out io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: it is text or json", f.output)
	}
	f.Ruleset, f.LostPorts = rulesLook()
	view, err := topo.Gather(f.stateDir, f.Options)
	if err != nil {
		return err
	}
	if f.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(view)
	}
	return topo.Draw(out, view, f.style(out))
}

// rulesLook is a look at the ruleset that is taken when the first asks, and is the same for all.
func rulesLook() (lost func(*store.Record) ([]string, error), ports func(*store.Record, store.Port) int) {
	look := sync.OnceValues(attach.LookAtRules)
	lost = func(r *store.Record) ([]string, error) {
		rules, err := look()
		if err != nil {
			return nil, err
		}
		return rules.Lost(r), nil
	}
	ports = func(r *store.Record, p store.Port) int {
		rules, err := look()
		if err != nil {
			return 0
		}
		return rules.LostPorts(r, p)
	}
	return lost, ports
}

// style follows what the person has: the terminal's width, NO_COLOR (no-color.org), the locale.
func (f *showFlags) style(out io.Writer) topo.Style {
	s := topo.Style{Width: f.width, ASCII: f.ascii || !localeIsUTF8()}
	columns, terminal := columnsOf(out)
	s.Color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if s.Width == 0 {
		s.Width = columns
	}
	return s
}

// columnsOf is the width of the terminal that out is, if it is one.
func columnsOf(out io.Writer) (columns int, terminal bool) {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// localeIsUTF8 asks the variables in the order of locale(7).
func localeIsUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			value = strings.ReplaceAll(strings.ToLower(value), "-", "")
			return strings.HasSuffix(value, "utf8")
		}
	}
	return false
}
