package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// tapFlags are the flags about a tap.
type tapFlags struct {
	wanted bool
	cli.Tap
}

func (t *tapFlags) register(flags *flag.FlagSet) {
	flags.BoolVar(&t.wanted, "tap", false, "create a tap for a virtual machine, whose guest has the addresses")
	flags.StringVar(&t.Name, "tap-name", "", "`name` of the tap (default "+config.DefaultTap+")")
	flags.StringVar(&t.Owner, "owner", "", "`user` that may open the tap: USER, USER:GROUP or :GROUP, names or numbers (default root)")
	flags.BoolVar(&t.MultiQueue, "multi-queue", false, "make a tap that is opened once for each queue")
}

// addTo adds the tap to the configuration of a network.
func (t *tapFlags) addTo(n *cli.Network) error {
	if t.wanted {
		return n.AddTap(t.Tap)
	}
	for name, given := range map[string]bool{"--tap-name": t.Name != "", "--owner": t.Owner != "", "--multi-queue": t.MultiQueue} {
		if given {
			return errors.New(name + " is about a tap: pass --tap too")
		}
	}
	return nil
}

// guest is what the guest of a virtual machine needs behind a tap.
type guest struct {
	tap         *config.Tap
	mac         string
	mtu         int
	nameservers []string
	addresses   []address
}

// address is an address of a result.
type address struct{ Address, Gateway string }

// tapText returns the end of the line that attach and up print; "" without a tap.
func (g *guest) tapText() string {
	if g.tap == nil {
		return ""
	}
	return fmt.Sprintf(", tap %s of %s", cell(g.tap.Name), attach.Opens(g.tap.Owner, g.tap.Group))
}

// writeTo prints what to configure in the guest, below the line of the attachment.
func (g *guest) writeTo(out io.Writer) {
	if g.tap == nil {
		return
	}
	words := []string{"MAC " + g.mac}
	for _, a := range g.addresses {
		words = append(words, "address "+a.Address)
		if a.Gateway != "" {
			words = append(words, "gateway "+a.Gateway)
		}
	}
	words = append(words, fmt.Sprintf("MTU %d", g.mtu))
	if len(g.nameservers) > 0 {
		words = append(words, "DNS "+strings.Join(g.nameservers, " "))
	}
	sayLine(out, "  guest: %s", strings.Join(words, ", "))
}

// attachedObject is the object of attach -o json: fields are added, and neither renamed nor removed.
type attachedObject struct {
	inventory.Attachment
	MAC         string     `json:"mac"`
	MTU         int        `json:"mtu"`
	Gateways    []string   `json:"gateways"`
	Nameservers []string   `json:"nameservers"`
	Tap         *tapObject `json:"tap"`
}

// tapObject is the tap in it.
type tapObject struct {
	Name       string  `json:"name"`
	Owner      *uint32 `json:"owner"`
	Group      *uint32 `json:"group"`
	MultiQueue bool    `json:"multiQueue"`
}

// printAttached prints the attachment that was made.
func printAttached(out io.Writer, key store.Key, done attached) error {
	all, err := inventory.New(config.DefaultStateDir).Attachments(key.Network)
	if err != nil {
		return readable(err)
	}
	i := slices.IndexFunc(all, func(a inventory.Attachment) bool { return a.Key() == key })
	if i < 0 {
		return fmt.Errorf("%s was removed meanwhile", key)
	}
	g := done.guest
	object := attachedObject{Attachment: all[i], MAC: g.mac, MTU: g.mtu, Gateways: []string{}, Nameservers: append([]string{}, g.nameservers...)}
	for _, a := range g.addresses {
		object.Gateways = append(object.Gateways, a.Gateway)
	}
	if g.tap != nil {
		object.Tap = &tapObject{g.tap.Name, g.tap.Owner, g.tap.Group, g.tap.MultiQueue}
	}
	return printJSON(out, object)
}
