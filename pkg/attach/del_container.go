package attach

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// inContainer calls do with the network namespace that the record names, if it still exists: otherwise neither does what ADD made in
// it. CNI_NETNS of the DEL is tried first. The cookie is compared, because a path may lead to a newer namespace.
func (r *removal) inContainer(record *store.Record, do func(*link.Sandbox) error) error {
	ofHost := record.NetnsCookie != 0 && record.NetnsCookie == record.HostCookie // CNI_NETNS_OVERRIDE
	tried := ""
	for _, path := range []string{r.calledFor(record), record.Netns} {
		if path == "" || path == tried {
			continue
		}
		tried = path
		sandbox, err := link.OpenSandbox(path, ofHost)
		if errors.Is(err, link.ErrNetns) {
			report.Warn("%s: %v; what was configured there stays", record.Key(), err)
		}
		if err != nil {
			continue
		}
		if record.IsNamespace(sandbox.Cookie(), sandbox.Inode()) {
			defer sandbox.Close()
			return do(sandbox)
		}
		sandbox.Close()
	}
	return nil
}

// calledFor returns the path of the container's network namespace: CNI_NETNS of the DEL, or else the recorded path.
func (r *removal) calledFor(record *store.Record) string {
	if r.asked != nil && r.asked.Key(r.key.Network) == r.key && r.asked.Netns != "" {
		return r.asked.Netns
	}
	return record.Netns
}

// stopSourceRouting deletes the policy rules of the attachment, and the routes in its tables. The kernel deletes the routes with the
// interface; the rules would stay.
func (r *removal) stopSourceRouting(record *store.Record) error {
	if record.SourceRouting == nil || liveness.New(r.host).OtherBoot(record) {
		return nil
	}
	return r.inContainer(record, func(sandbox *link.Sandbox) error {
		err := sandbox.StopSourceRouting(record.IfName, SourcesOfRecord(record.SourceRouting), !record.SourceRouting.Shared)
		if err != nil {
			return fmt.Errorf("source-based routing of %s: %w", record.Key(), err)
		}
		return nil
	})
}

// removeTap deletes the tap of the attachment in the container's network namespace, whatever its name is by now. Without a record the
// attachment may have one.
func (r *removal) removeTap(record *store.Record) error {
	switch {
	case record == nil:
		return r.removeUnrecordedTap()
	case record.Tap == nil || liveness.New(r.host).OtherBoot(record):
		return nil
	}
	return r.inContainer(record, func(sandbox *link.Sandbox) error { return sandbox.RemoveTaps(identity.MarkOf(record.Alias)) })
}

// removeUnrecordedTap deletes the tap in the namespace that the DEL names.
func (r *removal) removeUnrecordedTap() error {
	path := r.netns()
	if path == "" {
		return nil
	}
	sandbox, err := link.OpenSandbox(path, false)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or not a container's
	}
	defer sandbox.Close()
	return sandbox.RemoveTaps(r.names.Mark)
}

// untune restores the settings of an interface that another plugin made.
func (r *removal) untune(record *store.Record) error {
	if record.Tuning == nil || record.Tuning.Was == nil {
		return nil
	}
	return r.inContainer(record, func(sandbox *link.Sandbox) error {
		return sandbox.Restore(record.IfName, TuningOfRecord(*record.Tuning.Was))
	})
}

// netns returns the path of the network namespace: the recorded one, or CNI_NETNS; "" if unknown.
func (r *removal) netns() string {
	if r.state.Record != nil {
		return r.state.Record.Netns
	}
	if r.asked != nil && r.asked.Key(r.key.Network) == r.key {
		return r.asked.Netns
	}
	return ""
}
