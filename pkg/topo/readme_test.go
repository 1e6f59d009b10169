package topo

import (
	"os"
	"strings"
	"testing"
)

// The picture in README is one that the code draws.
func TestREADMEPicture(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile("testdata/7-second.80.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```\n"+string(picture)+"```") {
		t.Errorf("README does not hold testdata/7-second.80.txt:\n%s", picture)
	}
}
