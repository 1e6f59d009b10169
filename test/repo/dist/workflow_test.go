package dist

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/release"
)

// attestations returns the SBOMs that the workflow of releases attests, and the patterns of the files that each is about.
func attestations(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../.github/workflows/release.yml")
	check(t, err)
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string
				With map[string]any
			}
		}
	}
	check(t, yaml.Unmarshal(text, &workflow))
	all := map[string][]string{}
	for _, step := range workflow.Jobs["draft"].Steps {
		if !strings.HasPrefix(step.Uses, "actions/attest-sbom@") {
			continue
		}
		sbom, _ := step.With["sbom-path"].(string)
		subjects, _ := step.With["subject-path"].(string)
		all[sbom] = strings.Fields(subjects)
	}
	return all
}

// TestAttestations: each pattern of the workflow matches one file, of the program and architecture of the SBOM; no program, archive or package is left out.
//
// Claim: The release workflow attests each binary, archive and package by the SBOM of its program and architecture
func TestAttestations(t *testing.T) {
	var got, want []string
	for sbom, patterns := range attestations(t) {
		program, arch, _ := strings.Cut(strings.TrimSuffix(filepath.Base(sbom), ".cdx.json"), "-linux-")
		if _, err := os.Stat(release.Path(t, filepath.Base(sbom))); err != nil {
			t.Errorf("SBOM: %v", err)
		}
		for _, pattern := range patterns {
			found, err := filepath.Glob(release.Path(t, filepath.Base(pattern)))
			check(t, err)
			for _, path := range found {
				got = append(got, program+" "+arch+": "+filepath.Base(path))
			}
		}
	}
	for arch, name := range arches() {
		for _, program := range programs() {
			of, binary := program+" "+arch+": ", program+"-0.2.0-linux-"+arch
			want = append(want, of+binary, of+binary+".tar.gz", of+program+"_0.2.0_"+arch+".deb", of+program+"-0.2.0-1."+name+".rpm")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	expect.Equal(t, "attested files", got, want)
}
