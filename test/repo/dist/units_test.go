package dist

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// units are those that a package enables.
const units = "patchbay-gc.timer patchbay-metrics.timer patchbay-reload.service"

// stub is a program that writes its name and arguments to a file, and succeeds.
const stub = `#!/bin/sh
echo "${0##*/} $*" >>/said
`

// withSystemd makes the root one of a host with systemd, with stubs of its programs.
func (r *root) withSystemd(stubs []string) {
	r.t.Helper()
	for _, name := range stubs {
		r.write("bin/"+name, stub)
	}
	r.Run(r.t, "mkdir", "-p", "/run/systemd/system")
}

// said returns what the stubs were called with since the last time; calls for one unit only of the first.
func (r *root) said() (calls []string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "said")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	check(r.t, err)
	check(r.t, os.Remove(path))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasSuffix(line, " patchbay-metrics.timer") && !strings.HasSuffix(line, " patchbay-reload.service") || strings.HasSuffix(line, units) {
			calls = append(calls, line)
		}
	}
	return calls
}

// unitsOf is what a package manager does with units. Debian enables and starts them, through the programs that respect what the administrator disabled or
// masked; with rpm it is the presets of the distribution that enable them, and nothing starts.
func unitsOf(m manager) (stubs []string, installed, upgraded, removed, purged []string) {
	const reload = "systemctl --system daemon-reload"
	if m.name == "rpm" {
		return []string{"systemctl"},
			[]string{"systemctl --no-reload preset patchbay-gc.timer", reload, "systemctl try-restart " + units},
			[]string{reload, "systemctl try-restart " + units, reload},
			[]string{"systemctl --no-reload disable --now " + units, reload}, nil
	}
	enabled := []string{
		"deb-systemd-helper unmask patchbay-gc.timer", "deb-systemd-helper --quiet was-enabled patchbay-gc.timer", "deb-systemd-helper enable patchbay-gc.timer", reload,
	}
	return []string{"systemctl", "deb-systemd-helper", "deb-systemd-invoke"},
		append(enabled[:4:4], "deb-systemd-invoke start "+units),
		slices.Concat([]string{reload}, enabled, []string{"deb-systemd-invoke restart " + units}),
		[]string{"deb-systemd-invoke stop " + units, reload}, []string{"deb-systemd-helper purge patchbay-gc.timer", reload}
}

// TestUnits: the scripts enable, start, restart and stop the units by the programs of the distribution, on a host with systemd, which stubs stand for.
//
// Claim: The .deb enables and starts the units unless the administrator disabled them, the .rpm leaves that to the presets; an upgrade restarts them, removal stops them
func TestUnits(t *testing.T) {
	for _, m := range managers("patchbay") {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := newRoot(t)
			stubs, installed, upgraded, removed, purged := unitsOf(m)
			r.withSystemd(stubs)
			first, second := r.packagesOf(m)
			r.ok(m, append(m.install, first)...)
			expect.Equal(t, "installation", r.said(), installed)
			r.ok(m, append(m.upgrade, second)...)
			expect.Equal(t, "upgrade", r.said(), upgraded)
			r.ok(m, m.remove...)
			expect.Equal(t, "removal", r.said(), removed)
			if m.purge != nil {
				r.ok(m, m.purge...)
				expect.Equal(t, "purge", r.said(), purged)
			}
			r.Run(t, "rm", "-r", "/run/systemd")
		})
	}
}
