package attach

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// CommandError returns an error of this package in the terms of the patchbay commands: a flag instead of the environment variable
// or the key that a runtime sets, and a patchbay command as the remedy. The error code is dropped.
func CommandError(err error) error {
	if err == nil {
		return nil
	}
	return commandError(CNIError(err))
}

// CommandErrorOnLAN returns the error of CommandError for a network whose containers get an address of an existing LAN, which --ip must name: the
// remedy for an address that cannot be assigned is another one of that subnet.
func CommandErrorOnLAN(err error, subnet netip.Prefix) error {
	if err == nil {
		return nil
	}
	e := CNIError(err)
	e.Details = strings.ReplaceAll(e.Details, fixRequested, "pass --ip another address of "+subnet.String()+" that no host uses")
	return commandError(e)
}

// CommandErrorOf returns the error of CommandError for an error that CNIError has converted; nil for nil.
func CommandErrorOf(e *types.Error) error {
	if e == nil {
		return nil
	}
	return commandError(e)
}

func commandError(e *types.Error) error {
	if e.Details == "" {
		return fmt.Errorf("%s", translate(e.Msg))
	}
	return fmt.Errorf("%s; %s", translate(e.Msg), translate(e.Details))
}

// translate replaces CNI's terms by those of the commands: phrases first, then single keys and variables wherever they occur.
// Packages below attach therefore write one text, for runtimes, and need not know who called.
func translate(text string) string {
	text = strings.NewReplacer(commandPhrases()...).Replace(text)
	var out strings.Builder
	for text != "" {
		word := text[:wordLength(text)]
		if word == "" {
			word = text[:1]
			out.WriteString(word)
		} else {
			out.WriteString(commandWord(word))
		}
		text = text[len(word):]
	}
	return out.String()
}

// wordLength returns the length of the key, variable or word at the start of a text, in bytes.
func wordLength(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.[]", r))
	})
	if end < 0 {
		end = len(text)
	}
	return len(strings.TrimRight(text[:end], "."))
}

// commandPhrases returns pairs of a phrase and its replacement. TestCommandError finds a phrase that is missing here.
func commandPhrases() []string {
	return []string{
		"call DEL first, or use another container ID or interface name", "run patchbay detach first, or name another interface with --interface",
		"use another container ID, or call DEL for the other attachment if it is no longer needed", "run patchbay detach if the other attachment is no longer needed",
		"use another CNI_IFNAME, or remove the interface from the namespace", "name another interface with --interface, or delete that one in the namespace",
		"set CNI_NETNS to the path of a network namespace", "pass the name or the path of a network namespace",
		"CNI_ARGS: IP", "--ip",
		"CNI_ARGS holds pairs KEY=VALUE, separated by semicolons", "separate addresses with commas",
		fixTapTaken, "pass another name with --tap-name, or delete that interface in the namespace",
		fixRequested, "pass --ip a free address of the network's ranges, or omit it",
		"request at most one address from each set of ipam.ranges", "pass --ip at most one address from each range of the network",
		"remove that mapping or choose another hostPort", "detach the other attachment or publish another port of the host (-p)",
		"delete unused containers, or add a range to ipam.ranges", "detach unused attachments (patchbay ls), or add a range to the network's file",
		"or call DEL for that attachment, which this version can remove", "or detach it, which this version can do",
		"a directory of CNI_PATH", "/opt/cni/bin",
		"not found in CNI_PATH", "not found in",
		"set the key bridge", "set bridge in the network's file",
		"(key bridge)", "(bridge in the network's file)",
		"then call again", "then try again", "call ADD again", "try again", "call DEL again", "try again",
		"pass the result of ADD as prevResult", "let a runtime call the plugin: commands do not keep the result",
		"the section ipam", "the section ipam of the network's file",
		"remove the key tap", "leave --tap out", "tap.name", "--tap-name",
		"container ID", "name",
	}
}

// commandWord returns the flag, or the description, of a key or variable; any other word is returned unchanged.
func commandWord(word string) string {
	if field, isPort := strings.CutPrefix(word, "runtimeConfig.portMappings"); isPort {
		if field = commandWord(field[strings.LastIndexByte(field, '.')+1:]); strings.Contains(field, " ") {
			return "-p, " + field
		}
		return "-p"
	}
	key, inRuntime := strings.CutPrefix(word, "runtimeConfig.")
	if inRuntime {
		return commandWord(key)
	}
	key, inIPAM := strings.CutPrefix(word, "ipam.")
	if inIPAM {
		return key + " in the network's file"
	}
	known := map[string]string{
		"CNI_IFNAME": "--interface", "CNI_NETNS": "the namespace", "CNI_CONTAINERID": "the name", "CNI_ARGS": "--ip", "CNI_PATH": "/opt/cni/bin", "ips": "--ip",
		"hostPort": "port of the host", "containerPort": "port of the container", "hostIP": "address of the host", "portMappings": "published ports (-p)",
		"prevResult": "the result of an earlier plugin", "ADD": "attach", "DEL": "detach", "CHECK": "check", "STATUS": "status",
	}[word]
	switch {
	case known != "":
		return known
	case strings.HasPrefix(word, "CNI_"):
		return "the environment"
	}
	return word
}
