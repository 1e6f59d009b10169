package reported

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// forgedFix is a command that an attacker wants root to run.
const forgedFix = "fix: reboot"

// evil is a name with everything that must not reach a terminal.
const evil = "web\n   " + forgedFix + "\r\x1b[2J\u009b31m\u202e\u200b"

func fileTexts() []row {
	const kind = "untrusted text is printed on one line, without control characters, and never as a command"
	return []row{
		{"34", "the name of a pod has a line break, escape sequences and text direction marks", kind, textsOfPod},
		{"34.1", "the alias of a host interface has them", kind, textsOfAlias},
		{"34.2", "a bridge is called ;reboot", kind, commandsOf(";reboot")},
		{"34.3", "a bridge is called br+, which is a wildcard of iptables", kind, commandsOf("br+")},
		{"34.4", "a bridge is called br*, which is a wildcard of nft", kind, commandsOf("br*")},
		{"34.5", "a bridge is called -all, which is an option", kind, commandsOf("-all")},
		{"34.6", "the comment of a rule that drops has them", kind, textsOfRule},
		{"34.7", "another IPAM plugin prints them on stderr and in its error", kind, textsOfIPAM},
		{"34.8", "a network's file has them in its name and in its text", kind, textsOfConf},
	}
}

// everyCommand returns all commands that print, with text and JSON output.
func (h *fileHost) everyCommand(forged string) (all string) {
	h.t.Helper()
	for _, args := range [][]string{
		{"ls"},
		{"ls", "--width", "40"},
		{"show"},
		{"show", "--width", "40"},
		{"ports"},
		{"doctor"},
		{"gc", "--dry-run"},
		{"reload"},
		{"ls", "-o", "json"},
		{"show", "-o", "json"},
		{"doctor", "-o", "json"},
		{"ports", "-o", "json"},
	} {
		a := h.patchbay(args...)
		line := forged
		if args[0] == "show" {
			line = "" // it wraps sentences, and prints no fixes
		}
		plainText(h.t, "patchbay "+strings.Join(args, " "), printedBy(a), line)
		all += printedBy(a)
	}
	return all
}

func textsOfPod(t *testing.T) {
	h := newFileHost(t)
	c := h.Container("web")
	call := h.call("ADD", c, routed(cni.Conf{"runtimeConfig": cni.Conf{"portMappings": []cni.Conf{{"hostPort": 8080, "containerPort": 80}}}}))
	call.Args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default" + evil + ";K8S_POD_NAME=" + evil
	call.Env = []string{"CNI_LOG_FILE=/run/log"}
	a := h.cni(call)
	a.OK(t)
	plainText(t, "ADD", printedBy(a), forgedFix)
	h.Run(t, "ip", "link", "set", "cni0", "down")
	all := h.everyCommand(forgedFix)
	if !strings.Contains(all, `web\n   fix: reboot\r\x1b[2J`) {
		t.Errorf("the name is not shown as it is: %s", all)
	}
	plainText(t, "the log", h.sh("cat /run/log"), forgedFix)
	h.Run(t, "ip", "link", "set", "cni0", "up")
	call.Command = "CHECK"
	call.Config = routed(cni.Conf{"prevResult": json.RawMessage(a.Stdout)}).JSON(t)
	h.sh("nft flush ruleset")
	plainText(t, "CHECK", printedBy(h.cni(call)), forgedFix)
	h.cni(h.call("DEL", c, routed())).OK(t)
	h.Baseline()
}

func textsOfAlias(t *testing.T) {
	h := newFileHost(t)
	c := h.Container("web")
	h.cni(h.call("ADD", c, routed())).OK(t)
	link := h.portsOf("cni0")
	alias := h.linkOf(link).IfAlias
	h.Run(t, "ip", "link", "set", link, "alias", alias+evil)
	h.everyCommand(forgedFix)
	h.Run(t, "ip", "link", "set", link, "alias", "patchbay:0123456789ab net/"+evil+"/eth0")
	h.everyCommand(forgedFix)
	call := h.call("GC", c, routed(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{{"containerID": c.ID(), "ifname": "eth0"}}}))
	call.Unset = []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	plainText(t, "GC", printedBy(h.cni(call)), forgedFix)
	plainText(t, "ADD", printedBy(h.cni(h.call("ADD", c, routed()))), forgedFix)
	h.Run(t, "ip", "link", "set", link, "alias", alias)
	h.cni(h.call("DEL", c, routed())).OK(t)
}

// commandsOf requires that doctor prints no command with the name of a bridge that is not a plain word.
func commandsOf(bridge string) func(t *testing.T) {
	return func(t *testing.T) {
		h := newFileHost(t)
		conf := routed(cni.Conf{"bridge": bridge})
		c := h.Container("web")
		h.cni(h.call("ADD", c, conf)).OK(t)
		h.sh("nft 'add table inet f; add chain inet f forward { type filter hook forward priority 0; policy drop; }'")
		filtered := h.patchbay("doctor", "-o", "json")
		h.Run(t, "ip", "link", "set", "dev", bridge, "down")
		down := h.patchbay("doctor", "-o", "json")
		for what, a := range map[string]nettest.Answer{"drops": filtered, "is down": down} {
			var report struct {
				Findings []struct {
					Says string
					Fix  []string
				}
			}
			if err := json.Unmarshal(a.Stdout, &report); err != nil {
				t.Fatal(err, a)
			}
			refused := 0
			for _, f := range report.Findings {
				for _, line := range f.Fix {
					if strings.Contains(line, bridge) && !strings.HasPrefix(line, "#") {
						t.Errorf("%s: a command has the name of the bridge: %q", f.Says, line)
					}
					if strings.HasPrefix(line, "# no command is offered: ") {
						refused++
					}
				}
			}
			if refused == 0 {
				t.Errorf("where the bridge %s, no line says that there is no command: %s", what, a)
			}
		}
		h.Run(t, "ip", "link", "set", "dev", bridge, "up")
		h.sh("nft delete table inet f")
		h.cni(h.call("DEL", c, conf)).OK(t)
	}
}

func textsOfRule(t *testing.T) {
	h := newFileHost(t)
	c := h.Container("web")
	a := h.cni(h.call("ADD", c, routed()))
	a.OK(t)
	h.sh(`nft "add table inet f; add chain inet f forward { type filter hook forward priority 0; }; add rule inet f forward oifname \"cni0\" drop comment \"$1\""`, "\x1b[2J\u202e "+forgedFix)
	report := h.patchbay("doctor")
	if !strings.Contains(printedBy(report), `\x1b[2J\u202e `+forgedFix) {
		t.Errorf("doctor does not show the comment: %s", report)
	}
	plainText(t, "doctor", printedBy(report), forgedFix)
	call := h.call("ADD", h.Container("other"), routed(cni.Conf{"logFile": "/run/log"}))
	plainText(t, "ADD", printedBy(h.cni(call)), forgedFix)
	plainText(t, "the log", h.sh("cat /run/log"), forgedFix)
	call.Command = "DEL"
	h.cni(call).OK(t)
	h.sh("nft delete table inet f")
	h.cni(h.call("DEL", c, routed())).OK(t)
}

func textsOfIPAM(t *testing.T) {
	h := newFileHost(t)
	dir := t.TempDir()
	encoded, err := json.Marshal(map[string]any{"code": 111, "msg": evil, "details": strings.Repeat(evil, 5000)})
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ncat >/dev/null\n[ \"$CNI_COMMAND\" != DEL ] || exit 0\nprintf '%s\\n' '" + evil + "' >&2\ncat <<'EOF'\n" + string(encoded) + "\nEOF\nexit 1\n"
	if err := nettest.WriteProgram(dir+"/evil", []byte(script)); err != nil {
		t.Fatal(err)
	}
	for _, keepsQuiet := range []bool{false, true} {
		if keepsQuiet { // without an error of its own: the details have the end of its stderr
			if err := nettest.WriteProgram(dir+"/evil", []byte(strings.ReplaceAll(script, string(encoded), ""))); err != nil {
				t.Fatal(err)
			}
		}
		call := h.call("ADD", h.Container(map[bool]string{false: "a", true: "b"}[keepsQuiet]), routed(cni.Conf{"ipam": cni.Conf{"type": "evil"}}))
		call.Path = dir
		a := h.cni(call)
		e := a.Error(t)
		plainText(t, "msg", e.Msg, forgedFix)
		plainText(t, "details", e.Details, forgedFix)
		plainText(t, "stdout", string(a.Stdout), forgedFix)
		if len(e.Details) > 40000 || strings.ContainsAny(e.Msg+e.Details, "\n") {
			t.Errorf("details of %d bytes, or more than one line", len(e.Details))
		}
		plainText(t, "stderr", string(a.Stderr), "")
	}
}

func textsOfConf(t *testing.T) {
	h := newFileHost(t)
	h.put(h.conf+"/"+evil+".conflist", `{"name": "x", "plugins": [{"type": 7}]}`)
	h.network("good", routed(cni.Conf{"name": "good"}))
	h.put(h.conf+"/other.conflist", string(cni.Conf{"cniVersion": "1.0.0", "name": evil, "plugins": []cni.Conf{{"type": "patchbay"}, {"type": evil}}}.JSON(t)))
	for _, args := range [][]string{{"up", "web", "--network", "nosuch"}, {"up", "web", "--network", evil}, {"ls", "--network", "nosuch"}, {"attach", evil}, {"detach", evil}, {"down", evil}, {"inspect", evil}, {"lxc", "enable", evil}, {evil}} {
		a := h.patchbay(args...)
		if a.Exit == 0 {
			t.Errorf("patchbay %q passed", args)
		}
		plainText(t, "patchbay "+args[0], printedBy(a), forgedFix)
	}
}
