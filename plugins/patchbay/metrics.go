package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/doctor"
	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/install"
	"github.com/patchbay-cni/patchbay/pkg/metrics"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// metricsFlags are the flags of `patchbay metrics`.
type metricsFlags struct {
	common
	binDir, counters, textfile string
	logs                       []string
}

func metricsCommand() command {
	f := &metricsFlags{}
	return command{
		name: "metrics", short: "print metrics in the text format of Prometheus",
		long: `Prints attachments, pools, published ports, the state of the ruleset, what "patchbay doctor" finds,
and the number, error codes and durations of ADD, CHECK, DEL, GC and STATUS, in the text format of
Prometheus. --textfile writes them to a file for the textfile collector of node_exporter, completely
or not at all.

The verbs are counted by the lines that the plugin adds to its log: without logFile in a
configuration, or CNI_LOG_FILE, there are none. Each call adds the lines that are new to the counters
in the file of --counters, so that rotation of the log does not set them back; nothing else is
changed.

The exit status is 1 if something could not be read; the metrics then have the rest, and
patchbay_part_success is 0 for that part.`,
		flags: f.register, run: f.run,
	}
}

func (f *metricsFlags) register(flags *flag.FlagSet) {
	f.registerConfDir(flags)
	flags.StringVar(&f.binDir, "bin-dir", install.DefaultBinDir, "`directory` of CNI plugins")
	f.registerState(flags)
	flags.StringVar(&f.textfile, "textfile", "", "write to this `file` instead of stdout")
	flags.StringVar(&f.counters, "counters", metrics.CountersFile, "`file` of the counters")
	flags.Func("log", "read this log `file` instead of those of the configurations and CNI_LOG_FILE; may be repeated", func(path string) error {
		f.logs = append(f.logs, path)
		return nil
	})
}

func (f *metricsFlags) run(out io.Writer) error {
	host, err := f.host()
	if err != nil {
		return err
	}
	m := metrics.Host{}
	var failed error
	note := func(part string, err error) {
		if err != nil {
			failed = errors.Join(failed, err)
			m.Failed = append(m.Failed, part)
		}
	}
	m.State, err = health.Examine(host)
	if m.State != nil {
		m.State.Version = version
	}
	note(metrics.PartHost, err)
	m.Verbs, err = f.verbs()
	note(metrics.PartLog, err)
	if err := f.write(out, m); err != nil {
		return errors.Join(err, failed)
	}
	return readable(failed)
}

// host returns what is examined, by absolute paths.
func (f *metricsFlags) host() (h doctor.Host, err error) {
	if err := privileged("metrics", unix.CAP_NET_ADMIN); err != nil {
		return h, err
	}
	paths := []*string{&f.stateDir, &f.binDir, &f.counters, &f.textfile}
	for i := range f.logs {
		paths = append(paths, &f.logs[i])
	}
	for _, path := range paths {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return h, err
		}
	}
	return doctor.Host{StateDir: f.stateDir, ConfDir: f.confDir, BinDir: f.binDir}, nil
}

// verbs returns the counters, with the lines that are new in the logs.
func (f *metricsFlags) verbs() (*metrics.Verbs, error) {
	logs := slices.Clone(f.logs)
	if len(logs) == 0 {
		if path := os.Getenv(logEnv); filepath.IsAbs(path) {
			logs = append(logs, path)
		}
		networks, err := cli.Networks(f.confDir)
		if err != nil {
			return nil, err
		}
		for _, n := range networks {
			if path := config.ParseLenient(n.Config).LogFile; path != "" {
				logs = append(logs, path)
			}
		}
	}
	slices.Sort(logs)
	v, err := metrics.Update(f.counters, slices.Compact(logs))
	for _, path := range f.logs { // one of a configuration may not be written yet; one that is named may be misspelt
		if _, failed := os.Lstat(path); errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("--log: %w", failed))
		}
	}
	return v, err
}

// write writes the metrics to stdout or the file of --textfile.
func (f *metricsFlags) write(out io.Writer, m metrics.Host) error {
	if f.textfile == "" {
		return metrics.Write(out, m)
	}
	if !strings.HasSuffix(f.textfile, ".prom") {
		return fmt.Errorf("--textfile: %s does not end with .prom, so that node_exporter would not read it", f.textfile)
	}
	var text bytes.Buffer
	if err := metrics.Write(&text, m); err != nil {
		return err
	}
	return safefile.Write(f.textfile, 0o644, text.Bytes())
}
