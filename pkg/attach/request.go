package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Request is one call of a verb: the CNI_* variables and stdin. The caller has checked that the variables that the verb needs are set
// and well formed.
type Request struct {
	ContainerID      string
	Netns            string // path; may be "" for DEL
	IfName           string
	Args             string // CNI_ARGS
	HostNetnsAllowed bool   // CNI_NETNS_OVERRIDE
	Config           []byte // stdin
	Owner            string // owner of the attachment in its record; "" means store.OwnerCNI
	NetnsMade        bool   // the caller created the namespace for this attachment, and its removal deletes it
	Path             string // CNI_PATH

	Planned []netip.Addr // of Look: addresses that calls before this one would have got
	Program string       // base name under which this program was started

	Took   func(step string, d time.Duration) // called after each step; may be nil
	Warned func(sentence string)              // called with each warning, which also goes to stderr; may be nil
	Noted  func(sentence string)              // called with what the log of the verb has beside warnings; may be nil
}

// errPlanned is about an address that an earlier call would have got, see Planned.
var errPlanned = errors.New("is that of an earlier container of this call")

// Warn writes a warning to stderr and passes it to Warned.
func (r *Request) Warn(format string, args ...any) {
	report.Warn(format, args...)
	if r.Warned != nil {
		r.Warned(printable.Text(fmt.Sprintf(format, args...), report.MaxText))
	}
}

// Note passes a sentence to Noted.
func (r *Request) Note(format string, args ...any) {
	if r.Noted != nil {
		r.Noted(printable.Text(fmt.Sprintf(format, args...), report.MaxText))
	}
}

// warnOf is Warn for the text of another package.
func (r *Request) warnOf(sentence string) { r.Warn("%s", sentence) }

// Step runs one step of a verb and passes its duration to Took.
func (r *Request) Step(name string, do func() error) error {
	if r == nil || r.Took == nil {
		return do()
	}
	begun := time.Now()
	err := do()
	r.Took(name, time.Since(begun))
	return err
}

// Key returns the key of the attachment on a network.
func (r *Request) Key(network string) store.Key {
	return store.Key{Network: network, ContainerID: r.ContainerID, IfName: r.IfName}
}

// OwnerName returns the owner of the attachment as its record has it.
func (r *Request) OwnerName() string {
	if r.Owner == "" {
		return store.OwnerCNI
	}
	return r.Owner
}

// parse reads the configuration and finds the delegated IPAM plugin, before anything is changed. The plugin is nil if IPAM is built in,
// also if ipam.type is the name of a copy of this program or of a link to it.
func (r *Request) parse() (*config.Config, *delegate.Plugin, error) {
	cfg, err := r.parseInRole()
	if err != nil || !cfg.DelegatesIPAM() {
		return cfg, nil, err
	}
	plugin, err := delegate.Find(cfg.IPAMType, r.Path)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case !plugin.IsSelf():
		return cfg, plugin, nil
	case isStatic(cfg.IPAMType):
		cfg.Static, err = config.ParseStatic(r.Config, r.Args)
	default:
		cfg, err = config.Called{Alias: cfg.IPAMType}.Parse(r.Config, r.Args)
	}
	return cfg, nil, err
}

// parseInRole reads the configuration as main plugin or as IPAM plugin (see role.go). Usually the name of the program decides, and the
// configuration is parsed only once.
func (r *Request) parseInRole() (*config.Config, error) {
	cfg, err := config.Parse(r.Config, r.Args)
	if err == nil && r.isMain(cfg.Type) {
		return cfg, nil
	}
	called, failed := r.called()
	if failed != nil {
		return nil, failed
	}
	if called == (config.Called{}) {
		return cfg, err
	}
	return called.Parse(r.Config, r.Args)
}

// identify is parse for DEL, which must succeed with an invalid configuration: it reads only the keys that name the network and its state.
func (r *Request) identify() config.Ident {
	id := config.ParseLenient(r.Config)
	if called, _ := r.roleOf(id); called != (config.Called{}) {
		id = called.ParseLenient(r.Config)
	}
	if !id.DelegatesIPAM() {
		return id
	}
	if isStatic(id.IPAMType) {
		return id // its addresses have no files
	}
	if plugin, err := delegate.Find(id.IPAMType, r.Path); err == nil && plugin.IsSelf() {
		return config.Called{Alias: id.IPAMType}.ParseLenient(r.Config)
	}
	return id
}

// closeState releases the lock of a record. An empty lock file that cannot be removed is no error: the next verb uses it.
func closeState(state *store.Attachment) { _ = state.Close() }

// dirs returns the directories with the state of a network.
func dirs(id config.Ident) store.Dirs {
	return store.Dirs{State: id.StateDir, Data: id.DataDir, Shared: id.SharedDir()}
}
