// Package lxc knows LXC: where its containers are, which of them run, the lines that a container's
// configuration needs, and what LXC passes to a hook.
// It never attaches or detaches anything, and prints nothing; it needs none of LXC's own programs.
//
//	c := lxc.Container{Path: lxc.Path(), Name: "web"}
//	changed, err := c.Edit(lxc.Hooks{Command: "/opt/cni/bin/patchbay lxc-hook --network lan"}.Enable)
//
// A container's configuration may belong to a user who is not root, while this program runs as root:
// Edit replaces only files that the owner of the directory owns.
package lxc
