package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// The library's skeleton (cni/pkg/skel) is not used: it reads stdin without a limit, refuses a DEL with an invalid
// configuration, answers VERSION with its own version instead of the requested one, and checks whether CNI_NETNS is
// the host's only after ADD has changed it.

// maxConfig is the greatest size of stdin in bytes; a GC list of ten thousand containers is about a megabyte.
const maxConfig = 4 << 20

// verb is one CNI command.
type verb struct {
	needs []string // required variables, in the order in which errors list them
	since string   // first version of the specification that has it
}

func verbs() map[string]verb {
	all := []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	return map[string]verb{
		"ADD":    {needs: all},
		"CHECK":  {needs: all, since: "0.4.0"},
		"DEL":    {needs: []string{"CNI_CONTAINERID", "CNI_IFNAME"}},
		"STATUS": {since: "1.1.0"},
		"GC":     {since: "1.1.0"},
	}
}

// runCNI answers one call of a runtime and returns the exit code.
func runCNI(command string, in io.Reader, out io.Writer) (code int) {
	var log *verbLog
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "patchbay: %v\n%s", p, debug.Stack())
			e := types.NewError(types.ErrInternal, fmt.Sprintf("internal error: %v", p), "report this as a bug, with the output on stderr")
			code = fail(out, cniversion.Current(), e)
			log.write(e)
		}
	}()
	v, known := verbs()[command]
	if !known && command != "VERSION" {
		return fail(out, cniversion.Current(), types.NewError(types.ErrInvalidEnvironmentVariables, "unknown CNI_COMMAND: "+command, "set it to ADD, CHECK, DEL, GC, STATUS or VERSION"))
	}
	stdin, err := io.ReadAll(io.LimitReader(in, maxConfig+1))
	if err != nil {
		return fail(out, cniversion.Current(), types.NewError(types.ErrIOFailure, "read network configuration: "+err.Error(), "pass the plugin's configuration on stdin"))
	}
	if command == "VERSION" {
		return printVersion(out, stdin)
	}
	log = openLog(command, stdin)
	e := call{command, v, stdin, log}.run(out)
	if e != nil {
		code = fail(out, versionOf(stdin), e)
	}
	log.write(e)
	return code
}

// call is one call of a CNI verb.
type call struct {
	command string
	verb    verb
	stdin   []byte
	log     *verbLog // nil if logging is off
}

// versionOf returns the CNI version of an answer: the configuration's, if it is supported. Only answers that need it
// call it: an ADD parses its configuration once.
func versionOf(stdin []byte) string {
	asked := config.ParseLenient(stdin).CNIVersion
	if slices.Contains(cniversion.All.SupportedVersions(), asked) {
		return asked
	}
	return cniversion.Current()
}

func (c call) run(out io.Writer) *types.Error {
	req, e := request(c.verb, c.stdin)
	c.log.about(&req)
	if e != nil {
		return e
	}
	if c.command != "DEL" {
		if e := allowed(c.command, c.verb, c.stdin); e != nil {
			return e
		}
	}
	if err := pluginFor(req.Program, c.stdin).run(c.command, req, out); err != nil {
		return attach.CNIError(err)
	}
	return nil
}

// allowed returns an error for a configuration that is too large, or whose CNI version does not have the verb. DEL
// accepts both.
func allowed(command string, v verb, stdin []byte) *types.Error {
	if len(stdin) > maxConfig {
		return types.NewError(types.ErrDecodingFailure, fmt.Sprintf("network configuration is larger than %d bytes", maxConfig), "pass one plugin's configuration, not a list of them")
	}
	if v.since == "" {
		return nil
	}
	asked := config.ParseLenient(stdin).CNIVersion
	if !slices.Contains(cniversion.All.SupportedVersions(), asked) || !config.IsObject(stdin) {
		return nil // the verb reports it
	}
	if ok, err := cniversion.GreaterThanOrEqualTo(asked, v.since); err != nil || !ok {
		return types.NewError(types.ErrIncompatibleCNIVersion, "config version does not allow "+command, fmt.Sprintf("cniVersion is %s, %s came with %s", asked, command, v.since))
	}
	return nil
}

// request reads the variables of a verb and checks their form (CNI SPEC section 2).
func request(v verb, stdin []byte) (attach.Request, *types.Error) {
	req := attach.Request{
		ContainerID: os.Getenv("CNI_CONTAINERID"),
		Netns:       os.Getenv("CNI_NETNS"),
		IfName:      os.Getenv("CNI_IFNAME"),
		Args:        os.Getenv("CNI_ARGS"),
		Config:      stdin,
		Path:        os.Getenv("CNI_PATH"),
		Program:     program(),
		Noted:       noted,
	}
	override := os.Getenv("CNI_NETNS_OVERRIDE")
	req.HostNetnsAllowed = override == "1" || strings.EqualFold(override, "true")
	var missing []string
	for _, name := range v.needs {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return req, types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("required env variables [%s] missing", strings.Join(missing, ",")), "the runtime has to set them")
	}
	if len(v.needs) == 0 {
		return req, nil
	}
	return req, wellFormed(req)
}

func wellFormed(req attach.Request) *types.Error {
	const longest = 200 // a file name has 255 bytes; "@<ifname>.json" follows
	if !config.ValidName(req.ContainerID) {
		return types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_CONTAINERID: invalid characters in containerID: %q", req.ContainerID), "use letters, digits, dot, underscore and dash, a letter or digit first")
	}
	if len(req.ContainerID) > longest {
		return types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_CONTAINERID: %d bytes are too long", len(req.ContainerID)), fmt.Sprintf("use at most %d", longest))
	}
	if err := config.ValidateInterfaceName(req.IfName); err != nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_IFNAME: %q cannot name an interface: %v", req.IfName, err), "use 1 to 15 bytes without /, :, % and white space")
	}
	return nil
}

// printVersion answers VERSION, with the requested version if it is supported (CNI SPEC section 4).
func printVersion(out io.Writer, stdin []byte) int {
	cniVersion := cniversion.Current()
	if len(strings.TrimSpace(string(stdin))) > 0 {
		cniVersion = versionOf(stdin)
	}
	return write(out, 0, struct {
		CNIVersion string   `json:"cniVersion"`
		Supported  []string `json:"supportedVersions"`
	}{cniVersion, cniversion.All.SupportedVersions()})
}

// fail prints the error object of the specification, which has cniVersion, unlike the library's.
func fail(out io.Writer, cniVersion string, e *types.Error) int {
	// Package attach returns printable texts; those of this package contain variables of the environment.
	e = types.NewError(e.Code, printable.Text(e.Msg, maxError), printable.Text(e.Details, maxError))
	return write(out, 1, struct {
		CNIVersion string `json:"cniVersion"`
		*types.Error
	}{cniVersion, e})
}

func write(out io.Writer, code int, object any) int {
	text, err := json.MarshalIndent(object, "", "    ")
	if err == nil {
		_, err = out.Write(append(text, '\n'))
	}
	if err != nil {
		complain("write answer: %s", oneLine(err))
		return 1
	}
	return code
}
