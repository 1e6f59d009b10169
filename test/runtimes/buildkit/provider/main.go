// Command provider makes network namespaces with the network providers of BuildKit, as buildkitd does, for the tests
// of the folder above. It is a module of its own because BuildKit's dependencies are not those of the other tests.
//
// It reads calls from stdin and writes their answers to stdout, one JSON object a line, in the form of package inside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// daemon is the part of buildkitd that owns namespaces.
type daemon struct {
	provider   network.Provider
	namespaces map[string]network.Namespace // by path
}

// request and answer are one line each.
type request struct {
	Call  string
	Input json.RawMessage
}

type answer struct {
	Output any
	Error  string
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	d := &daemon{namespaces: map[string]network.Namespace{}}
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		err := requests.Decode(&q)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var a answer
		if a.Output, err = d.do(q); err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (d *daemon) do(q request) (any, error) {
	switch q.Call {
	case "start":
		var opt netproviders.Opt
		if err := json.Unmarshal(q.Input, &opt); err != nil {
			return nil, err
		}
		return nil, d.start(opt)
	case "stop":
		return nil, d.provider.Close()
	case "new", "close", "sample":
		var argument string
		if err := json.Unmarshal(q.Input, &argument); err != nil {
			return nil, err
		}
		return d.namespace(q.Call, argument)
	}
	return nil, fmt.Errorf("unknown call %s", q.Call)
}

// start creates the provider of build steps that do not choose a network.
func (d *daemon) start(opt netproviders.Opt) error {
	all, _, _, err := netproviders.Providers(opt)
	d.provider = all[pb.NetMode_UNSET]
	return err
}

// namespace calls the provider, with a hostname or "", or a namespace, by its path.
func (d *daemon) namespace(call, argument string) (any, error) {
	if call == "new" {
		return d.create(argument)
	}
	ns, known := d.namespaces[argument]
	if !known {
		return nil, fmt.Errorf("no namespace %s", argument)
	}
	if call == "sample" {
		return ns.Sample()
	}
	delete(d.namespaces, argument)
	return nil, ns.Close()
}

// create returns the path of a namespace, as the executor writes it into the specification of a step's container.
func (d *daemon) create(hostname string) (string, error) {
	ns, err := d.provider.New(context.Background(), hostname, network.NamespaceOptions{})
	if err != nil {
		return "", err
	}
	spec := specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.NetworkNamespace}}}}
	if err := ns.Set(&spec); err != nil {
		return "", err
	}
	path := spec.Linux.Namespaces[0].Path
	d.namespaces[path] = ns
	return path, nil
}
