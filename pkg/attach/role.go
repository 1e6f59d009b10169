package attach

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// called is roleOf for this call's configuration.
func (r *Request) called() (config.Called, error) { return r.roleOf(config.ParseLenient(r.Config)) }

// isHostLocal reports whether a name is that of host-local, with whose keys and files the built-in IPAM is compatible. This program can
// be installed in its place.
func isHostLocal(name string) bool { return names.Is(name, names.HostLocal) }

// roleOf decides whether this program was called as main plugin or as IPAM plugin of another main plugin. Both get the same
// configuration and environment (CNI SPEC.md section 4) and are found by name in CNI_PATH: so the name of the program decides, and if
// it is ambiguous, the content of CNI_PATH. If that is ambiguous too, the call fails: the result of an IPAM plugin has no interface,
// and a runtime must not get it for a main plugin's configuration.
func (r *Request) roleOf(id config.Ident) (config.Called, error) {
	switch {
	case isHostLocal(r.Program):
		return config.Called{Alias: r.Program, AsIPAM: true}, nil
	case r.isMain(id.Type) || id.Type == "" || id.IPAMType == "":
		return config.Called{}, nil // Parse reports missing keys
	case r.Program == id.IPAMType:
		return r.calledAsIPAM(id)
	}
	return r.calledAsAnother(id)
}

// isMain reports whether the name of the program is enough to decide that it is the main plugin. Commands of Patchbay set no name.
func (r *Request) isMain(pluginType string) bool {
	return r.Program == "" || r.Program == pluginType && !isHostLocal(r.Program)
}

// calledAsIPAM decides for a program with the name in ipam.type. It is the IPAM plugin only if CNI_PATH has a main plugin that is
// another program: this one does not call itself.
func (r *Request) calledAsIPAM(id config.Ident) (config.Called, error) {
	main, err := delegate.Find(id.Type, r.Path)
	switch {
	case err != nil:
		return config.Called{}, fmt.Errorf("program %s is %w: type is %q, which CNI_PATH %q does not have", r.Program, errNoRole, id.Type, r.Path)
	case main.IsSelf():
		return config.Called{}, nil
	}
	return config.Called{Alias: id.IPAMType, AsIPAM: true}, nil
}

// calledAsAnother decides for a program whose name is neither type nor ipam.type, for example if a wrapper starts it.
func (r *Request) calledAsAnother(id config.Ident) (config.Called, error) {
	if id.Type == config.TypeName || r.isThis(id.Type) {
		return config.Called{}, nil
	}
	isIPAM := r.isThis(id.IPAMType)
	switch {
	case !isIPAM && id.IPAMType != config.TypeName:
		return config.Called{}, nil // another plugin assigns the addresses
	case !isIPAM:
		return config.Called{}, fmt.Errorf("program %s is %w: type is %q, ipam.type is %q", r.Program, errNoRole, id.Type, id.IPAMType)
	}
	return r.calledAsIPAM(id)
}

// isThis reports whether name in CNI_PATH is this program.
func (r *Request) isThis(name string) bool {
	plugin, err := delegate.Find(name, r.Path)
	return err == nil && plugin.IsSelf()
}
