package chained

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Plugin is one chained plugin.
type Plugin struct {
	name string
	part part
}

// part is what one plugin does. Its parts of a record are those that plan sets and clear removes.
type part struct {
	// parse decodes and checks the configuration.
	parse func(data []byte, args string) (*config.Chained, error)

	// wanted reports whether the configuration asks for anything; if not, ADD passes prevResult on and reads nothing.
	wanted func(*config.Chained) bool

	// plan checks what parse cannot, and puts into a.record what apply makes. It changes nothing. It returns errDone if the
	// record of the main plugin has all of it.
	plan func(a *adding) error

	// apply makes what the record has now.
	apply func(ctx context.Context, a *adding) error

	// remove removes from the kernel what the record has.
	remove func(ctx context.Context, r *removing) error

	// reference removes what the reference plugin of the same name made for an attachment without a record; may be nil.
	reference func(r *removing) error

	// clear removes the part from a record.
	clear func(*store.Record)

	// check compares the part of the record with the configuration and the kernel.
	check func(c *checking) error

	// status returns why no ADD can succeed.
	status func(cfg *config.Chained, host *link.Host) error
}

// statusOfRules returns why elements cannot be added on this host.
func statusOfRules(_ *config.Chained, host *link.Host) error {
	rules, err := ruleset.Open(host)
	if err != nil {
		return err
	}
	defer rules.Close()
	return rules.Usable()
}

// adding is the state of one ADD.
type adding struct {
	plugin  Plugin
	req     attach.Request
	cfg     *config.Chained
	names   identity.Names
	host    *link.Host
	sandbox *link.Sandbox
	rules   *ruleset.Ruleset // nil until a part opens it
	ends    ends
	state   *store.Attachment

	before *store.Record // what the record was; nil if there was none
	record *store.Record // what it becomes
	given  []store.Address

	putBack func() error // what undo does in addition to remove; may be nil
}

// checking is the state of one CHECK. It changes nothing.
type checking struct {
	req     *attach.Request
	cfg     *config.Chained
	host    *link.Host
	sandbox *link.Sandbox
	record  *store.Record
	found   []string

	reloadable bool // patchbay reload restores some of it
}

// removing is the state of one DEL, and of the undo of an ADD.
type removing struct {
	plugin Plugin
	req    *attach.Request
	host   *link.Host
	state  *store.Attachment
	record *store.Record
}
