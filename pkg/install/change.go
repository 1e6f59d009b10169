package install

import "strings"

// Change is one thing that was done, or in a dry run would be done.
type Change struct {
	Action Action `json:"action"`
	Path   string `json:"path"`
	Note   string `json:"note,omitempty"`
}

// Action is what happened to a file or directory.
type Action string

// Actions.
const (
	Created  Action = "created"
	Replaced Action = "replaced"
	Kept     Action = "kept"     // aside; Note has where
	Restored Action = "restored" // from where it was kept
	Deleted  Action = "deleted"
	Left     Action = "left"              // not changed; Note has why
	Already  Action = "already installed" // not changed
)

// Text returns the change as a line. In a dry run it says what would be done.
func (c Change) Text(dryRun bool) string {
	verb := string(c.Action)
	if future := map[Action]string{
		Created: "create", Replaced: "replace", Kept: "keep", Restored: "restore", Deleted: "delete", Left: "leave",
	}[c.Action]; dryRun && future != "" {
		verb = "would " + future
	}
	return strings.TrimSpace(verb + " " + c.Path + " " + c.Note)
}

// Changes reports whether a list has anything but files that are left as they are.
func Changes(list []Change) bool {
	for _, c := range list {
		if c.Action != Left && c.Action != Already {
			return true
		}
	}
	return false
}
