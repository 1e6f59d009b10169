package attach

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// termsOfCNI matches variables, verbs and keys that the user of a command has not typed.
func termsOfCNI() *regexp.Regexp {
	return regexp.MustCompile(`CNI_[A-Z]+|\b(ADD|DEL|CHECK|STATUS)\b|\b(ipam|runtimeConfig)\.|prevResult|\bhostPort\b|\bcontainerPort\b|\bhostIP\b|\bportMappings\b|\bcontainer ID\b`)
}

// TestCommandError: the errors of commands, with their remedies, contain no variable, verb or key of CNI.
//
// Claim: An error of a command names the flag, not the variable or key of CNI
func TestCommandError(t *testing.T) {
	for _, c := range causes() {
		said := CommandError(fmt.Errorf("attach: %w", c.is)).Error()
		if word := termsOfCNI().FindString(said); word != "" {
			t.Errorf("%q has %q", said, word)
		}
	}
	if CommandError(nil) != nil || CommandErrorOf(nil) != nil {
		t.Error("a nil error was converted to an error")
	}
}

// TestCommandErrorNamesFlags: the flag stands in place of the variable or key.
//
// Claim: An error of a command names the flag, not the variable or key of CNI
func TestCommandErrorNamesFlags(t *testing.T) {
	of := func(msg, details string) error { return &config.Error{Msg: msg, Details: details} }
	for want, err := range map[string]error{
		"-p, address of the host: x is no address; give one":                       of("runtimeConfig.portMappings[0].hostIP: x is no address", "give one"),
		"-p: 5000 ports are too many; publish less":                                of("runtimeConfig.portMappings: 5000 ports are too many", "publish less"),
		"--ip: 10.1.0.1 is taken; separate addresses with commas":                  of("CNI_ARGS: IP: 10.1.0.1 is taken", "CNI_ARGS holds pairs KEY=VALUE, separated by semicolons"),
		"--interface: a/b cannot name one":                                         of("CNI_IFNAME: a/b cannot name one", ""),
		"exclude in the network's file: no list; see ranges in the network's file": of("ipam.exclude: no list", "see ipam.ranges"),
	} {
		if got := CommandError(err).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := CommandError(errors.New("plain")).Error(); termsOfCNI().MatchString(got) {
		t.Error(got)
	}
}
