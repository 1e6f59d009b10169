package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Options are the plugin and the checks of one run.
type Options struct {
	Profile  *Profile
	Plugin   string         // path of the program
	Path     []string       // further directories of CNI_PATH; the first is the plugin's own
	Select   *regexp.Regexp // IDs of the checks to run; all if nil
	Parallel int            // checks that run at once; three for each CPU if 0
	Version  string         // cniVersion of the configurations; the newest that the plugin supports if ""
}

// Run runs checks and returns their outcomes in the order of Checks. An error means that no check could run.
func Run(o Options) ([]Outcome, error) {
	plugin, err := filepath.Abs(o.Plugin)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(plugin); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("%s is not a program: %w", plugin, cmp.Or(err, os.ErrPermission))
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces require root")
	}
	o.Plugin = plugin
	supported := supportedVersions(o)
	if o.Version != "" && !slices.Contains(supported, o.Version) {
		return nil, fmt.Errorf("%s does not support version %s", plugin, o.Version)
	}
	checks := slices.DeleteFunc(Checks(), func(c Check) bool { return o.Select != nil && !o.Select.MatchString(c.ID) })
	outcomes := make([]Outcome, len(checks))
	slots := make(chan struct{}, cmp.Or(o.Parallel, 3*runtime.NumCPU()))
	var all sync.WaitGroup
	for i, c := range checks {
		slots <- struct{}{}
		all.Go(func() {
			outcomes[i] = runOne(o, c, supported)
			<-slots
		})
	}
	all.Wait()
	return outcomes, nil
}

// supportedVersions asks the plugin. A plugin that does not answer has version 0.1.0, which had no VERSION.
func supportedVersions(o Options) []string {
	var versions []string
	s := &session{name: "supported versions"}
	s.run(func() {
		t := &trial{session: s, options: o, host: nettest.Host(s)}
		t.host.NoOracle("VERSION changes nothing, which a check makes sure of")
		versions = t.versionAnswer("1.0.0").SupportedVersions
	})
	if len(versions) == 0 {
		return []string{"0.1.0"}
	}
	return versions
}

// runOne runs one check with the newest version of the specification that the plugin supports.
func runOne(o Options, c Check, supported []string) Outcome {
	begin := time.Now()
	s := &session{name: c.ID}
	t := &trial{session: s, options: o, version: cmp.Or(o.Version, newest(supported)), supported: supported, network: "net"}
	if missing := slices.DeleteFunc(slices.Clone(c.Needs), o.Profile.has); len(missing) > 0 {
		s.skip = lacking(missing)
	} else if older(t.version, c.Since) {
		s.skip = "the configuration's version is before " + c.Since
	} else {
		s.run(func() { t.begin(); c.run(t) })
	}
	out := Outcome{Check: c, Verdict: Pass, Log: s.log, Seconds: time.Since(begin).Seconds()}
	switch {
	case s.failure != "":
		out.Verdict, out.Reason = Fail, oneLine(s.failure)
		out.Log = slices.Insert(out.Log, 0, s.failure)
	case s.skip != "":
		out.Verdict, out.Reason = NotApplicable, oneLine(s.skip)
	}
	return out
}

// lacking says what a profile has not.
func lacking(needs []string) string {
	if slices.Contains(needs, "noDelegate") {
		return "the plugin runs another plugin"
	}
	return "the profile has no " + strings.Join(needs, ", ")
}

// newest returns the newest released version that is supported.
func newest(supported []string) string {
	for _, v := range slices.Backward(Versions()) {
		if slices.Contains(supported, v) {
			return v
		}
	}
	return Versions()[0]
}

// oneLine returns the first line of a reason, with what differs from run to run replaced.
func oneLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	for _, r := range []struct{ pattern, with string }{
		{`\bveth[0-9a-f]{8}\b`, "veth..."},
		{`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`, "MAC"},
		{`\b([a-z0-9-]+)-[0-9a-f]{30,}\b`, "$1"},
	} {
		line = regexp.MustCompile(r.pattern).ReplaceAllString(line, r.with)
	}
	if runes := []rune(line); len(runes) > 200 {
		line = string(runes[:200]) + "..."
	}
	return line
}
