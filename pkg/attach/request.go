package attach

import (
	"fmt"
	"net"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Request is one call of a runtime: the CNI_* variables and stdin. The door has checked that
// those a verb needs are there and well formed.
type Request struct {
	ContainerID      string
	Netns            string // path; may be "" for DEL
	IfName           string
	Args             string // CNI_ARGS
	HostNetnsAllowed bool   // CNI_NETNS_OVERRIDE
	Config           []byte // stdin
	Owner            string // store.OwnerCNI if ""; who made it, and whose GC it is for
	NetnsMade        bool   // who attaches has made the namespace for it, and is to remove it
	Path             string // CNI_PATH
	Program          string // name that this program was called by, without directory

	Took   func(step string, d time.Duration) // told of every step that has ended; nil for nobody
	Warned func(sentence string)              // told of what is no error and hurts somebody, besides stderr; nil for nobody
}

// warn tells what is no error on stderr, and who listens.
func (r *Request) warn(format string, args ...any) {
	warn(format, args...)
	if r.Warned != nil {
		r.Warned(fmt.Sprintf(format, args...))
	}
}

// step does one step of a verb, and tells who wants to know how long it took.
func (r *Request) step(name string, do func() error) error {
	if r == nil || r.Took == nil {
		return do()
	}
	begun := time.Now()
	err := do()
	r.Took(name, time.Since(begun))
	return err
}

func (r *Request) key(network string) store.Key {
	return store.Key{Network: network, ContainerID: r.ContainerID, IfName: r.IfName}
}

// closeState unlocks. That an empty lock file could not be removed is no reason to fail: it is
// no record, and the next verb takes it.
func closeState(state *store.Attachment) { _ = state.Close() }

func dirs(id config.Ident) store.Dirs {
	return store.Dirs{State: id.StateDir, Data: id.DataDir}
}

func macText(mac net.HardwareAddr) string { return mac.String() }

func (r *Request) owner() string {
	if r.Owner == "" {
		return store.OwnerCNI
	}
	return r.Owner
}
