package lxc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// block is what enable writes; typed if the configuration says itself that the type is empty.
func block(begin string, typed bool) string {
	lines := begin + "\n"
	if !typed {
		lines += "lxc.net.0.type = empty\n"
	}
	return lines + "lxc.hook.start-host = hook\nlxc.hook.stop = hook\nlxc.hook.destroy = hook\n# patchbay end\n"
}

// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestEnable(t *testing.T) {
	const veth = "lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.flags = up\n"
	aside := "# patchbay set this aside: "
	for name, tt := range map[string]struct {
		text, want string
		force      bool
	}{
		"empty file":           {"", block(beginLine, false), false},
		"some lines":           {"a = 1\n\n# b\n", "a = 1\n\n# b\n" + block(beginLine, false), false},
		"no newline at end":    {"a = 1", "a = 1\n" + block(beginLineAdded, false), false},
		"type empty":           {"lxc.net.0.type=empty\n", "lxc.net.0.type=empty\n" + block(beginLine, true), false},
		"DOS":                  {"a = 1\r\n", "a = 1\r\n" + block(beginLine, false), false},
		"commented veth":       {"#lxc.net.0.type = veth\n", "#lxc.net.0.type = veth\n" + block(beginLine, false), false},
		"another interface":    {"lxc.net.1.type = veth\n", "lxc.net.1.type = veth\n" + block(beginLine, false), false},
		"veth by force":        {veth, aside + strings.Join(strings.SplitAfter(veth, "\n")[:3], aside) + block(beginLine, false), true},
		"none by force":        {"lxc.net.0.type = none\n", aside + "lxc.net.0.type = none\n" + block(beginLine, false), true},
		"force with nothing":   {"a = 1\n", "a = 1\n" + block(beginLine, false), true},
		"empty stays by force": {"lxc.net.0.type = empty\nlxc.net.0.flags = up\n", "lxc.net.0.type = empty\n" + aside + "lxc.net.0.flags = up\n" + block(beginLine, true), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := Hooks{Command: "hook", Force: tt.force}
			got, err := l.Enable(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Fatalf("%v (-want +got):\n%s", err, diff)
			}
			if again, err := l.Enable(got); again != got || err != nil {
				t.Errorf("twice: %v\n%s", err, again)
			}
			other, err := Hooks{Command: "other"}.Enable(got)
			if want := strings.ReplaceAll(got, "= hook", "= other"); other != want || err != nil {
				t.Errorf("with another hook: %v\n%s", err, other)
			}
			if back, err := Disable(got); back != tt.text || err != nil {
				t.Errorf("disabled: %v\n%q, want %q", err, back, tt.text)
			}
			more, err := Disable(got + "c = 3\n")
			want := tt.text + "c = 3\n"
			if name == "no newline at end" {
				want = "a = 1\nc = 3\n"
			}
			if more != want || err != nil {
				t.Errorf("disabled, with a line behind: %v\n%q, want %q", err, more, want)
			}
		})
	}
}

// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestEnableRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nlxc.net.0.type = veth\n":                    "line 2 has lxc.net.0.type = veth: remove the lines of lxc.net.0, or comment them out with --force",
		"lxc.net.0.link = br0\n":                            "line 1 has lxc.net.0.link = br0",
		"lxc.net.0.type = none\n":                           "line 1 has lxc.net.0.type = none, the host's own network",
		block(beginLine, false) + "lxc.net.0.type = phys\n": "line 7 has lxc.net.0.type = phys",
		beginLine + "\nlxc.net.0.type = empty\n":            "line 1 begins the lines of patchbay, and no line \"# patchbay end\" ends them",
	} {
		if got, err := (Hooks{Command: "hook"}).Enable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q; %q", text, err, want, got)
		}
	}
	if got, err := Disable(beginLine + "\na = 1\n"); err == nil || got != beginLine+"\na = 1\n" {
		t.Errorf("disable a block without end: %q, %v", got, err)
	}
	if got, err := Disable("a = 1"); err != nil || got != "a = 1" {
		t.Errorf("disable of nothing: %q, %v", got, err)
	}
}

// makeContainer writes the files of a container.
func makeContainer(t *testing.T, name, text string) Container {
	t.Helper()
	c := Container{Path: t.TempDir(), Name: name}
	if err := os.MkdirAll(filepath.Join(c.Path, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.ConfigPath(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestEdit(t *testing.T) {
	c := makeContainer(t, "web", "a = 1\n")
	if err := os.Chmod(c.ConfigPath(), 0o604); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(c.ConfigPath(), 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(c.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	changed, err := c.Edit(func(text string) (string, error) { return text + "b = 2\n", nil })
	if !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
	text, _ := os.ReadFile(c.ConfigPath())
	after, err := os.Lstat(c.ConfigPath())
	if string(text) != "a = 1\nb = 2\n" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if was.Mode != is.Mode || was.Uid != is.Uid || was.Gid != is.Gid || was.Ino == is.Ino {
		t.Errorf("mode %o, owner %d:%d, inode %d; was %o, %d:%d, %d", is.Mode, is.Uid, is.Gid, is.Ino, was.Mode, was.Uid, was.Gid, was.Ino)
	}
	if changed, err := c.Edit(func(text string) (string, error) { return text, nil }); changed || err != nil {
		t.Errorf("nothing to change: %v, %v", changed, err)
	}
	bad := errors.New("bad")
	if _, err := c.Edit(func(string) (string, error) { return "", bad }); !errors.Is(err, bad) || !strings.Contains(err.Error(), c.ConfigPath()) {
		t.Errorf("error %v", err)
	}
	if names, err := safefile.Names(filepath.Dir(c.ConfigPath()), 9); len(names) != 1 {
		t.Errorf("in the container's directory: %q, %v", names, err)
	}
}

// TestEditSwapped: while the edit goes on, the name comes to lead to a file of root.
//
// Claim: An edit replaces the file that was read, or nothing, whatever its owner does meanwhile
func TestEditSwapped(t *testing.T) {
	c := makeContainer(t, "web", "a = 1\n")
	secret := filepath.Join(t.TempDir(), "secret")
	changed, err := c.Edit(func(text string) (string, error) {
		return text + "b = 2\n", errors.Join(os.WriteFile(secret, []byte("root's"), 0o600), os.Remove(c.ConfigPath()), os.Symlink(secret, c.ConfigPath()))
	})
	if text, _ := os.ReadFile(secret); !errors.Is(err, safefile.ErrChanged) || string(text) != "root's" {
		t.Errorf("changed %v, %v; root's file is %q", changed, err, text)
	}
}

// Claim: `lxc enable` and `disable` can be repeated and keep the rest of the file byte for byte, with mode and owner; lines of another
// network are refused, or replaced with --force; an unknown container's error suggests the nearest name
func TestCheck(t *testing.T) {
	c := makeContainer(t, "web-server", "")
	for name, want := range map[string]string{
		"web-server": "",
		"web-servr":  `no LXC container "web-servr" in ` + c.Path,
		"db":         `no LXC container "db" in ` + c.Path,
		"":           `no LXC container "": a name is not empty and contains no /`,
		"../x":       `no LXC container "../x": a name is not empty and contains no /`,
	} {
		got := ""
		if err := (Container{c.Path, name}).Check(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestID: an ID is valid for CNI whatever LXC calls the container, the same by every path, and another in another directory.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
// Claim: Two LXC containers of one name in two directories are two attachments
func TestID(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	web := Container{dir, "web"}
	for _, same := range []Container{{link, "web"}, {dir + "/", "web"}, {filepath.Join(dir, "x") + "/..", "web"}} {
		if same.ID() != web.ID() {
			t.Errorf("%v: %s, want %s", same, same.ID(), web.ID())
		}
	}
	seen := map[string]Container{}
	for _, c := range []Container{web, {"/var/lib/lxc", "web"}, {dir, "we b"}, {dir, "we_b"}, {dir, "wéb"}, {dir, strings.Repeat("w", 255)}, {dir, strings.Repeat("w", 254)}, {"", "web"}} {
		id := c.ID()
		if other, taken := seen[id]; taken {
			t.Errorf("%v and %v are both %s", c, other, id)
		}
		seen[id] = c
		if !config.ValidName(id) || len(id) > 200 || !strings.HasPrefix(id, "lxc-w") {
			t.Errorf("%v: %q", c, id)
		}
	}
}

// Claim: An LXC container keeps address and MAC over stop and start, a reboot from inside and a kill, until it is destroyed; a runtime's
// GC keeps it
func TestSticky(t *testing.T) {
	for conf, want := range map[string]string{
		`{"type":"patchbay"}`:                         `{"type":"patchbay"}`,
		`{"ipam":{"type":"patchbay"},"x":1}`:          `{"ipam":{"sticky":true,"type":"patchbay"},"x":1}`,
		`{"ipam":{"type":"patchbay","sticky":false}}`: `{"ipam":{"type":"patchbay","sticky":false}}`,
		`{"ipam":{"type":"host-local"}}`:              `{"ipam":{"type":"host-local"}}`,
		`{"ipam":7}`:                                  `{"ipam":7}`,
	} {
		if got := string(Sticky([]byte(conf))); got != want {
			t.Errorf("%s: %s, want %s", conf, got, want)
		}
	}
}

// Claim: The hook reports that it was called outside LXC, or for a process that no longer exists
func TestParseCall(t *testing.T) {
	pid := "1"
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		want Call
	}{
		"version 0": {[]string{"web", "lxc", "start-host"}, map[string]string{"LXC_HOOK_VERSION": "0", "LXC_NAME": "web", "LXC_PID": pid, "LXC_CONFIG_FILE": "/p/web/config", "LXC_NET_NS": "/proc/9/fd/3"}, Call{Container{"/p", "web"}, "start-host", "/proc/1/ns/net"}},
		"version 1": {nil, map[string]string{"LXC_HOOK_VERSION": "1", "LXC_HOOK_TYPE": "stop", "LXC_NAME": "web", "LXC_CONFIG_FILE": "/p/web/config", "LXC_NET_NS": "/proc/9/fd/3"}, Call{Container{"/p", "web"}, "stop", "/proc/9/fd/3"}},
		"version 0, older, of which the name is an argument": {[]string{"web", "lxc", "stop", "net:/proc/9/fd/3"}, map[string]string{"LXC_ROOTFS_PATH": "/r"}, Call{Container{"/r", "web"}, "stop", ""}},
		"destroy": {[]string{"web", "lxc", "destroy"}, map[string]string{"LXC_NAME": "web", "LXC_CONFIG_FILE": "/p/web/config"}, Call{Container{"/p", "web"}, "destroy", ""}},
	} {
		got, err := ParseCall(tt.args, func(key string) string { return tt.env[key] })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
