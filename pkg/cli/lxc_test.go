package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// block is what enable writes; typed if the configuration says itself that the type is empty.
func block(begin string, typed bool) string {
	lines := begin + "\n"
	if !typed {
		lines += "lxc.net.0.type = empty\n"
	}
	return lines + "lxc.hook.start-host = hook\nlxc.hook.stop = hook\nlxc.hook.destroy = hook\n# patchbay end\n"
}

func TestEnableLXC(t *testing.T) {
	const veth = "lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.flags = up\n"
	aside := "# patchbay set this aside: "
	for name, tt := range map[string]struct {
		text, want string
		force      bool
	}{
		"empty file":           {"", block(lxcBegin, false), false},
		"some lines":           {"a = 1\n\n# b\n", "a = 1\n\n# b\n" + block(lxcBegin, false), false},
		"no newline at end":    {"a = 1", "a = 1\n" + block(lxcBeginCut, false), false},
		"type empty":           {"lxc.net.0.type=empty\n", "lxc.net.0.type=empty\n" + block(lxcBegin, true), false},
		"DOS":                  {"a = 1\r\n", "a = 1\r\n" + block(lxcBegin, false), false},
		"commented veth":       {"#lxc.net.0.type = veth\n", "#lxc.net.0.type = veth\n" + block(lxcBegin, false), false},
		"another interface":    {"lxc.net.1.type = veth\n", "lxc.net.1.type = veth\n" + block(lxcBegin, false), false},
		"veth by force":        {veth, aside + strings.Join(strings.SplitAfter(veth, "\n")[:3], aside) + block(lxcBegin, false), true},
		"none by force":        {"lxc.net.0.type = none\n", aside + "lxc.net.0.type = none\n" + block(lxcBegin, false), true},
		"force with nothing":   {"a = 1\n", "a = 1\n" + block(lxcBegin, false), true},
		"empty stays by force": {"lxc.net.0.type = empty\nlxc.net.0.flags = up\n", "lxc.net.0.type = empty\n" + aside + "lxc.net.0.flags = up\n" + block(lxcBegin, true), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := LXCLines{Hook: "hook", Force: tt.force}
			got, err := l.Enable(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Fatalf("%v (-want +got):\n%s", err, diff)
			}
			if again, err := l.Enable(got); again != got || err != nil {
				t.Errorf("twice: %v\n%s", err, again)
			}
			other, err := LXCLines{Hook: "other"}.Enable(got)
			if want := strings.ReplaceAll(got, "= hook", "= other"); other != want || err != nil {
				t.Errorf("with another hook: %v\n%s", err, other)
			}
			if back, err := DisableLXC(got); back != tt.text || err != nil {
				t.Errorf("disabled: %v\n%q, want %q", err, back, tt.text)
			}
			more, err := DisableLXC(got + "c = 3\n")
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

func TestEnableLXCRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nlxc.net.0.type = veth\n":                   "line 2 has lxc.net.0.type = veth: take out the lines of lxc.net.0, or let --force",
		"lxc.net.0.link = br0\n":                           "line 1 has lxc.net.0.link = br0",
		"lxc.net.0.type = none\n":                          "line 1 has lxc.net.0.type = none, the host's own network",
		block(lxcBegin, false) + "lxc.net.0.type = phys\n": "line 7 has lxc.net.0.type = phys",
		lxcBegin + "\nlxc.net.0.type = empty\n":            "line 1 begins what patchbay wrote, and no line \"# patchbay end\" ends it",
	} {
		if got, err := (LXCLines{Hook: "hook"}).Enable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q; %q", text, err, want, got)
		}
	}
	if got, err := DisableLXC(lxcBegin + "\na = 1\n"); err == nil || got != lxcBegin+"\na = 1\n" {
		t.Errorf("disable a block without end: %q, %v", got, err)
	}
	if got, err := DisableLXC("a = 1"); err != nil || got != "a = 1" {
		t.Errorf("disable of nothing: %q, %v", got, err)
	}
}

// containerOf makes the files of a container.
func containerOf(t *testing.T, name, text string) LXC {
	t.Helper()
	c := LXC{Path: t.TempDir(), Name: name}
	if err := os.MkdirAll(filepath.Join(c.Path, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.ConfigPath(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEditLXC(t *testing.T) {
	c := containerOf(t, "web", "a = 1\n")
	target := filepath.Join(c.Path, "real")
	if err := errors.Join(os.Rename(c.ConfigPath(), target), os.Symlink(target, c.ConfigPath()), os.Chmod(target, 0o604)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(target, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := c.Edit(func(text string) (string, error) { return text + "b = 2\n", nil })
	if !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
	text, _ := os.ReadFile(target)
	after, err := os.Lstat(target)
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
	if _, err := c.Edit(func(string) (string, error) { return "", bad }); !errors.Is(err, bad) || !strings.Contains(err.Error(), target) {
		t.Errorf("error %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(c.Path, ".config-*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestLXCExists(t *testing.T) {
	c := containerOf(t, "web-server", "")
	for name, want := range map[string]string{
		"web-server": "",
		"web-servr":  `no such LXC container as "web-servr" in ` + c.Path + `: did you mean "web-server"?`,
		"db":         `no such LXC container as "db" in ` + c.Path,
		"":           `no such LXC container as "": a name has no /`,
		"../x":       `no such LXC container as "../x": a name has no /`,
	} {
		got := ""
		if err := (LXC{c.Path, name}).Exists(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestLXCID: an ID is valid for CNI whatever LXC calls the container, the same by every path, and another in another directory.
func TestLXCID(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	web := LXC{dir, "web"}
	for _, same := range []LXC{{link, "web"}, {dir + "/", "web"}, {filepath.Join(dir, "x") + "/..", "web"}} {
		if same.ID() != web.ID() {
			t.Errorf("%v: %s, want %s", same, same.ID(), web.ID())
		}
	}
	seen := map[string]LXC{}
	for _, c := range []LXC{web, {"/var/lib/lxc", "web"}, {dir, "we b"}, {dir, "we_b"}, {dir, "wéb"}, {dir, strings.Repeat("w", 255)}, {dir, strings.Repeat("w", 254)}, {"", "web"}} {
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

func TestLXCSticky(t *testing.T) {
	for conf, want := range map[string]string{
		`{"type":"patchbay"}`:                         `{"type":"patchbay"}`,
		`{"ipam":{"type":"patchbay"},"x":1}`:          `{"ipam":{"sticky":true,"type":"patchbay"},"x":1}`,
		`{"ipam":{"type":"patchbay","sticky":false}}`: `{"ipam":{"type":"patchbay","sticky":false}}`,
		`{"ipam":{"type":"host-local"}}`:              `{"ipam":{"type":"host-local"}}`,
		`{"ipam":7}`:                                  `{"ipam":7}`,
	} {
		if got := string((&Network{Config: []byte(conf)}).Sticky()); got != want {
			t.Errorf("%s: %s, want %s", conf, got, want)
		}
	}
}

func TestParseLXCCall(t *testing.T) {
	pid := "1"
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		want LXCCall
	}{
		"version 0": {[]string{"web", "lxc", "start-host"}, map[string]string{"LXC_HOOK_VERSION": "0", "LXC_NAME": "web", "LXC_PID": pid, "LXC_CONFIG_FILE": "/p/web/config", "LXC_NET_NS": "/proc/9/fd/3"}, LXCCall{LXC{"/p", "web"}, "start-host", "/proc/1/ns/net"}},
		"version 1": {nil, map[string]string{"LXC_HOOK_VERSION": "1", "LXC_HOOK_TYPE": "stop", "LXC_NAME": "web", "LXC_CONFIG_FILE": "/p/web/config", "LXC_NET_NS": "/proc/9/fd/3"}, LXCCall{LXC{"/p", "web"}, "stop", "/proc/9/fd/3"}},
		"version 0, older, of which the name is an argument": {[]string{"web", "lxc", "stop", "net:/proc/9/fd/3"}, map[string]string{"LXC_ROOTFS_PATH": "/r"}, LXCCall{LXC{"/r", "web"}, "stop", ""}},
		"destroy": {[]string{"web", "lxc", "destroy"}, map[string]string{"LXC_NAME": "web", "LXC_CONFIG_FILE": "/p/web/config"}, LXCCall{LXC{"/p", "web"}, "destroy", ""}},
	} {
		got, err := ParseLXCCall(tt.args, func(key string) string { return tt.env[key] })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
