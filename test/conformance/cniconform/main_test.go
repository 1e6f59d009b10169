package main

import (
	"strings"
	"testing"
)

// TestArguments: what cannot run is refused with what is wrong, before anything runs.
func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "-plugin and -profile are required",
		"-plugin /bin/true":                  "-plugin and -profile are required",
		"-plugin /bin/true -profile /absent": "read profile",
		"-plugin /absent -profile patchbay":  "/absent is not a program",
		"-plugin / -profile patchbay":        "/ is not a program",
		"-plugin /bin/true -profile patchbay -run (":        "-run: ",
		"-plugin /bin/true -profile patchbay -fail-on must": "levels are MUST, SHOULD and practice",
	} {
		_, err := run(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
