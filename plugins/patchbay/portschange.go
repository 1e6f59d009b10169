package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

func portsWords() []string { return []string{"add", "rm"} }

// change publishes ports of an attachment, or ends that. A signal does not interrupt it.
func (f *portsFlags) change(out io.Writer, what string, args []string) error {
	if _, err := f.chosen(); err != nil {
		return err
	}
	if len(args) < 2 {
		return fmt.Errorf("ports %s needs a name and at least one port; see patchbay help ports", what)
	}
	if err := privileged("ports "+what, unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	name, words := args[0], args[1:]
	ctx := context.WithoutCancel(interruptible())
	if what == "add" {
		return f.publishMore(ctx, out, name, words)
	}
	return f.publishLess(ctx, out, name, words)
}

func (f *portsFlags) publishMore(ctx context.Context, out io.Writer, name string, words []string) error {
	for _, word := range words {
		if err := f.publish.Set(word); err != nil {
			return fmt.Errorf("port %q: %w", word, err)
		}
	}
	a, err := f.attachment(name)
	if err != nil {
		return err
	}
	req, err := cli.Publication(a, f.confDir, f.publish)
	if err != nil {
		return err
	}
	if err := attach.Publish(ctx, req); err != nil {
		return readableError(err)
	}
	return f.changed(out, a, name+": "+strings.TrimPrefix(f.publishes(), ", "))
}

func (f *portsFlags) publishLess(ctx context.Context, out io.Writer, name string, words []string) error {
	var ports []config.PortMapping
	var list []string
	for _, word := range words {
		p, err := cli.ParsePublished(word)
		if err != nil {
			return fmt.Errorf("port %q: %w", word, err)
		}
		ports, list = append(ports, p), append(list, p.String())
	}
	a, err := f.attachment(name)
	if err != nil {
		return err
	}
	if err := attach.Unpublish(ctx, cli.Removal(a, f.confDir), ports); err != nil {
		return readableError(err)
	}
	return f.changed(out, a, name+": no longer publishes "+strings.Join(list, ", "))
}

// changed prints a sentence, or in another format than text the ports of the attachment as they are now.
func (f *portsFlags) changed(out io.Writer, a *inventory.Attachment, sentence string) error {
	if format, err := f.chosen(); format == "text" {
		sayLine(out, "%s", sentence)
		return err
	}
	all, err := inventory.New(f.stateDir).Ports(a.Network)
	if err != nil {
		return readable(err)
	}
	return f.printPorts(out, slices.DeleteFunc(all, func(p inventory.Publication) bool {
		return p.ContainerID != a.ContainerID || p.IfName != a.IfName
	}))
}

// attachment returns the attachment of a name.
func (f *portsFlags) attachment(name string) (*inventory.Attachment, error) {
	all, err := inventory.New(f.stateDir).Attachments(f.network)
	if err != nil {
		return nil, readable(err)
	}
	if err := f.known(all); err != nil {
		return nil, err
	}
	found, err := cli.Match(all, name)
	if err != nil {
		return nil, err
	}
	var chosen []*inventory.Attachment
	var list []string
	for i := range found {
		list = append(list, found[i].IfName+" on network "+found[i].Network)
		if f.ifName == "" || found[i].IfName == f.ifName {
			chosen = append(chosen, &found[i])
		}
	}
	switch len(chosen) {
	case 1:
		return chosen[0], nil
	case 0:
		return nil, fmt.Errorf("%s has no interface %s: it has %s", printable.Name(name), f.ifName, strings.Join(list, ", "))
	}
	return nil, fmt.Errorf("%s has several attachments: choose one by --network and --interface: %s", printable.Name(name), strings.Join(list, ", "))
}
