package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Of returns the attachments of a target: ours are those that commands created and those without an owner,
// others are those that a runtime or LXC created in the same network namespace. ifName "" matches any interface.
func Of(all []inventory.Attachment, t *Target, ifName string) (ours, others []inventory.Attachment) {
	for _, a := range all {
		here := t.Kind == KindNamed && a.Netns == filepath.Join(NetnsDir, t.Name) || t.Path != "" && a.Netns == t.Path
		switch {
		case ifName != "" && a.IfName != ifName:
		case a.ContainerID == t.ID() && (a.Owner == store.OwnerCLI || a.Owner == ""), here && a.Owner == store.OwnerCLI:
			ours = append(ours, a)
		case here:
			others = append(others, a)
		}
	}
	return ours, others
}

// Printed returns the attachments that `ls` prints under a name, or that have it for their container ID: ours
// are those that commands created, on the interface ifName unless that is ""; others are those that a runtime or
// LXC created, on any interface.
func Printed(all []inventory.Attachment, name, ifName string) (ours, others []inventory.Attachment) {
	for _, a := range all {
		switch {
		case a.Name != name && a.ContainerID != name:
		case a.Owner != store.OwnerCLI:
			others = append(others, a)
		case ifName == "" || a.IfName == ifName:
			ours = append(ours, a)
		}
	}
	return ours, others
}

// Names returns the names of attachments, each once, sorted.
func Names(all []inventory.Attachment) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Match returns the attachments of the container that a word names: by the name that `ls` prints or the
// container ID; if none has that, by at least 8 bytes of a container ID, the path or the name of the network
// namespace, the name of a pod without its namespace, or the host interface. Errors wrap ErrNotFound, or
// ErrAmbiguous for more than one container.
func Match(all []inventory.Attachment, word string) ([]inventory.Attachment, error) {
	var found []inventory.Attachment
	for _, matches := range []func(*inventory.Attachment) bool{
		func(a *inventory.Attachment) bool { return a.Name == word || a.ContainerID == word },
		func(a *inventory.Attachment) bool { return isCalled(a, word) },
	} {
		for i := range all {
			if matches(&all[i]) {
				found = append(found, all[i])
			}
		}
		if len(found) > 0 {
			break
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("attachment %s %w%s", word, ErrNotFound, DidYouMean(word, Names(all)))
	}
	var ids []string
	for _, a := range found {
		ids = append(ids, a.ContainerID)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 1 {
		return nil, fmt.Errorf("%w %s: use one of %s", ErrAmbiguous, word, strings.Join(ids, ", "))
	}
	return found, nil
}

// isCalled reports whether a word is another name of an attachment than the one that `ls` prints.
func isCalled(a *inventory.Attachment, word string) bool {
	const minID = 8
	pod := a.Record != nil && a.Record.Pod != nil && a.Record.Pod.Name == word
	return pod || a.Netns != "" && (a.Netns == word || filepath.Base(a.Netns) == word) || a.HostLink == word ||
		len(word) >= minID && strings.HasPrefix(a.ContainerID, word)
}
