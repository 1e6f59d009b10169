package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/interrupt"
)

// The library's skeleton (cni/pkg/skel) is not used: it reads stdin without end, refuses a DEL
// whose configuration is broken, answers VERSION with its own version instead of the one
// asked, and looks whether CNI_NETNS is the host's only after ADD has changed it.

// maxConfig bounds stdin; a GC list of ten thousand containers is about a megabyte.
const maxConfig = 4 << 20

// verb is one CNI command.
type verb struct {
	needs []string // variables, in the order in which they are named when missing
	since string   // first version of the specification that has it
	run   func(attach.Request, io.Writer) error
}

func verbs() map[string]verb {
	all := []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}
	return map[string]verb{
		"ADD":    {needs: all, run: add},
		"CHECK":  {needs: all, since: "0.4.0", run: quiet(attach.Check)},
		"DEL":    {needs: []string{"CNI_CONTAINERID", "CNI_IFNAME"}, run: del},
		"STATUS": {since: "1.1.0", run: quiet(attach.Status)},
		"GC":     {since: "1.1.0", run: quiet(attach.GC)},
	}
}

// add ends by a signal between two steps, and what it did is undone.
func add(req attach.Request, out io.Writer) error {
	// To the end of the process: a signal that is late would kill it with the result already printed,
	// and the runtime would take an ADD that succeeded for one that failed.
	ctx, _ := interrupt.Catch()
	return attach.Add(ctx, req, out)
}

// del is not ended by a signal: half a DEL helps nobody.
func del(req attach.Request, _ io.Writer) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return attach.Del(context.Background(), req)
}

func quiet(run func(context.Context, attach.Request) error) func(attach.Request, io.Writer) error {
	return func(req attach.Request, _ io.Writer) error { return run(context.Background(), req) }
}

// runCNI answers one call of a runtime and returns the exit code.
func runCNI(command string, in io.Reader, out io.Writer) (code int) {
	var log *verbLog
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "patchbay: %v\n%s", p, debug.Stack())
			e := types.NewError(types.ErrInternal, fmt.Sprintf("internal error: %v", p), "please report this with what is on stderr")
			code = fail(out, cniversion.Current(), e)
			log.write(e)
		}
	}()
	v, known := verbs()[command]
	if !known && command != "VERSION" {
		return fail(out, cniversion.Current(), types.NewError(types.ErrInvalidEnvironmentVariables, "unknown CNI_COMMAND: "+command, "known are ADD, CHECK, DEL, GC, STATUS and VERSION"))
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

// call is one call of a verb.
type call struct {
	command string
	verb    verb
	stdin   []byte
	log     *verbLog // nil if it is off
}

// versionOf is the version of the specification that an answer has: the configuration's, if it is
// known here. It is read only for answers that need it; an ADD reads its configuration once.
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
	if err := c.verb.run(req, out); err != nil {
		return attach.CNIError(err)
	}
	return nil
}

// allowed refuses what DEL puts up with: too large a configuration, and a version of the
// specification that does not have the verb yet.
func allowed(command string, v verb, stdin []byte) *types.Error {
	if len(stdin) > maxConfig {
		return types.NewError(types.ErrDecodingFailure, fmt.Sprintf("network configuration is larger than %d bytes", maxConfig), "pass one plugin's configuration, not a list of them")
	}
	if v.since == "" {
		return nil
	}
	asked := config.ParseLenient(stdin).CNIVersion
	if !slices.Contains(cniversion.All.SupportedVersions(), asked) || !config.IsObject(stdin) {
		return nil // the verb says what is wrong with it
	}
	if ok, err := cniversion.GreaterThanOrEqualTo(asked, v.since); err != nil || !ok {
		return types.NewError(types.ErrIncompatibleCNIVersion, "config version does not allow "+command, fmt.Sprintf("cniVersion is %s, %s came with %s", asked, command, v.since))
	}
	return nil
}

// request reads the variables of a verb and checks their form (CNI SPEC.md section 2).
func request(v verb, stdin []byte) (attach.Request, *types.Error) {
	req := attach.Request{
		ContainerID: os.Getenv("CNI_CONTAINERID"),
		Netns:       os.Getenv("CNI_NETNS"),
		IfName:      os.Getenv("CNI_IFNAME"),
		Args:        os.Getenv("CNI_ARGS"),
		Config:      stdin,
		Path:        os.Getenv("CNI_PATH"),
		Program:     filepath.Base(os.Args[0]),
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
	const longest = 200 // leaves room for "@<ifname>.json" in a file name
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

// printVersion answers VERSION: with the version asked if it is known (CNI SPEC.md section 4).
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

// fail prints the specification's error object, which unlike the library's has cniVersion.
func fail(out io.Writer, cniVersion string, e *types.Error) int {
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
		fmt.Fprintln(os.Stderr, "patchbay: write answer:", err)
		return 1
	}
	return code
}
