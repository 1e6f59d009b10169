package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/plugins/pkg/ns"
)

// crowd is the number of attached containers during STATUS.
const crowd = 1000

// statusConf is a network with a given end of its range: with someFree there are free addresses, with full there are none.
const statusConf = `{
  "cniVersion": "1.1.0", "name": "status", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "statusOnFull": "warn",
  "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.99.0.0/22", "rangeStart": "10.99.0.2", "rangeEnd": %q}]]}
}`

const (
	someFree = "10.99.3.254"
	full     = "10.99.3.233" // the 1000th after 10.99.0.1
)

// statuses compares STATUS, which a runtime calls every few seconds, with an exec that does nothing.
func statuses(ctx context.Context, c *contest, p plan, out io.Writer) ([]metric, error) {
	asked, err := c.enter("patchbay", c.programs.byStatus)
	if err != nil {
		return nil, err
	}
	if err := asked.fill(ctx, crowd, &c.maker); err != nil {
		return nil, err
	}
	verbs := []struct {
		name string
		call verb
	}{
		{"STATUS, addresses left", c.programs.call("STATUS", fmt.Sprintf(statusConf, someFree))},
		{"STATUS, pool full", c.programs.call("STATUS", fmt.Sprintf(statusConf, full))},
		{"exec of patchbay, VERSION only", c.programs.call("VERSION", `{"cniVersion": "1.0.0"}`)},
	}
	took := make([]sample, len(verbs))
	for round := range p.warmUp + p.crowd {
		for i, v := range verbs {
			one, err := asked.timed(ctx, v.call, container{})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			if round >= p.warmUp {
				took[i] = append(took[i], one)
			}
		}
	}
	rows := [][]string{{"verb", "median ms", "p95"}}
	for i, v := range verbs {
		rows = append(rows, []string{v.name, ms(took[i].median()), ms(took[i].quantile(0.95))})
	}
	over := func(i int) float64 { return ratio(took[i].median(), took[2].median()) }
	return []metric{
		{"status_over_version", fmt.Sprintf("STATUS with %d addresses used / exec of VERSION", crowd), over(0)},
		{"status_full_over_version", fmt.Sprintf("STATUS with all of %d addresses used / exec of VERSION", crowd), over(1)},
	}, printTable(out, fmt.Sprintf("STATUS with %d containers, alternately, %d rounds", crowd, p.crowd), rows)
}

// byStatus returns the ADD for the network of statusConf.
func (p programs) byStatus(ns.NetNS) (verbs, error) {
	list, err := libcni.NetworkConfFromBytes(fmt.Appendf(nil, `{"cniVersion": "1.1.0", "name": "status", "plugins": [%s]}`, fmt.Sprintf(statusConf, full)))
	if err != nil {
		return verbs{}, err
	}
	cni := libcni.NewCNIConfigWithCacheDir(p, cacheDir+"/status", nil)
	return verbs{add: func(ctx context.Context, one container) error {
		_, err := cni.AddNetworkList(ctx, list, one.runtimeConf())
		return err
	}}, nil
}

// call starts the plugin as libcni does, for a verb without a container.
func (p programs) call(command, conf string) verb {
	program := p.path("patchbay")
	return func(ctx context.Context, _ container) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err := new(invoke.RawExec).ExecPlugin(ctx, program, []byte(conf), []string{"CNI_COMMAND=" + command})
		return err
	}
}
