package structure

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// avoided maps words and phrases that are not used in this project to the words of CNI, iproute2 and nftables. A word is compared without
// regard to case, also as a part of a name: buryAll contains bury.
func avoided() map[string]string {
	use := map[string]string{}
	for instead, words := range map[string]string{
		"a noun, such as attachment, process or user":     "somebody,whoever",
		"veth pair, host interface, container interface":  "cable,cables",
		"package, function, record or another plain noun": "hall,door,doors,room,rooms,house,houses,floor,floors,witness,mythology",
		"stale":                      "dead,graveyard",
		"live":                       "living,alive",
		"delete, remove":             "bury,buries,buried,burying",
		"check, decide":              "judge,judges,judged,judging,judgement",
		"ruleset":                    "wish,wishes,wished",
		"report, warn, say":          "told,tell,tells,telling",
		"fix, repair, restore":       "mend,mends,mended,mending,heal,heals,healed",
		"must, or the present tense": "shall",
		"a message":                  "in words",
		"misdirected":                "astray",
		"previous boot":              "earlier life",
		"is deleted with it, is released with it": "goes with it",
		"conflicts with": "in the way of,stands in the way,in each other's way",
		"tolerates":      "puts up with,put up with",
		"no verb":        "in vain",
	} {
		for word := range strings.SplitSeq(words, ",") {
			use[word] = instead
		}
	}
	return use
}

// quoted are texts of others, or of formats that stay, in which an avoided word is right.
func quotedTexts() []string {
	return []string{
		"RTNH_F_DEAD",   // the kernel's flag of a next hop
		"RTNHFDead",     // the same, as a Go name
		"dead linkdown", // the same, as ip(8) prints it
		"tell 0.0.0.0",  // an ARP probe, as tcpdump(8) prints it
		"KeepAlive",     // of etcd's library
		"patch cable",   // once, in the introduction of README
	}
}

// page is a text to check: the words of one line of a file.
type page struct {
	path string
	line int
	text string
}

// wordsOf splits a text into lower-case words, names at their capitals too.
func wordsOf(text string) []string {
	var words []string
	var word []rune
	runes := []rune(text)
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
		}
		word = nil
	}
	for i, r := range runes {
		if !unicode.IsLetter(r) && r != '\'' {
			end()
			continue
		}
		startsWord := unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if startsWord {
			end()
		}
		word = append(word, unicode.ToLower(r))
	}
	end()
	return words
}

// avoidedIn lists the avoided words and phrases of a text, sorted.
func avoidedIn(text string, use map[string]string) []string {
	for _, quoted := range quotedTexts() {
		text = strings.ReplaceAll(text, quoted, "")
	}
	words := wordsOf(text)
	var found []string
	for i := range words {
		for n := 1; n <= 4 && i+n <= len(words); n++ {
			if phrase := strings.Join(words[i:i+n], " "); use[phrase] != "" {
				found = append(found, phrase)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// linesOfGo returns comments, texts and names of a Go file, by line.
func linesOfGo(path string, src []byte) []page {
	fset := token.NewFileSet()
	file := fset.AddFile(path, fset.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	var pages []page
	for {
		pos, tok, text := s.Scan()
		switch tok {
		case token.EOF:
			return pages
		case token.STRING:
			if unquoted, err := strconv.Unquote(text); err == nil && text[0] == '"' {
				text = strings.ReplaceAll(unquoted, "\n", " ") // it is one line of the file
			}
		case token.COMMENT, token.IDENT:
		default:
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			pages = append(pages, page{path, file.Line(pos) + i, line})
		}
	}
}

// linesOfText returns the lines of a page or script.
func linesOfText(path, text string) []page {
	var pages []page
	for i, line := range strings.Split(text, "\n") {
		pages = append(pages, page{path, i + 1, line})
	}
	return pages
}

// allPages reads Go files, README, docs, .github and scripts. CHANGELOG is history, and this file lists the words.
func allPages(t *testing.T) []page {
	t.Helper()
	var pages []page
	for _, f := range sources(t) {
		if f.path == "test/repo/structure/words_test.go" {
			continue
		}
		src, err := os.ReadFile(filepath.Join(top(t), f.path))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, linesOfGo(f.path, src)...)
	}
	for _, pattern := range []string{"README.md", "CHANGELOG.md", "docs/*.md", ".github/*.md", "conf/*.md", "scripts/*.sh", "scripts/*.py", "Makefile", ".golangci.yml"} {
		paths, err := filepath.Glob(filepath.Join(top(t), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			relative, err := filepath.Rel(top(t), path)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, linesOfText(filepath.ToSlash(relative), string(text))...)
		}
	}
	return pages
}

// TestWords: the avoided words do not occur.
//
// Claim: Comments, texts and names use the words of CNI, iproute2 and nftables: a list of other words does not occur
func TestWords(t *testing.T) {
	use := avoided()
	for _, p := range allPages(t) {
		for _, word := range avoidedIn(p.text, use) {
			t.Errorf("%s:%d: %q: use %s: %s", p.path, p.line, word, use[word], strings.TrimSpace(p.text))
		}
	}
}

// Claim: Comments, texts and names use the words of CNI, iproute2 and nftables: a list of other words does not occur
func TestAvoidedInFinds(t *testing.T) {
	use := avoided()
	for text, want := range map[string][]string{
		"the deadline of a deadlock":      nil,
		"a dead attachment":               {"dead"},
		"Dead":                            {"dead"},
		"func buryAll() {}":               {"bury"},
		"NoHTTPDoorHere":                  {"door"},
		"ports_of_the_dead":               {"dead"},
		"in words, and not in a sentence": {"in words"},
		"RTNH_F_DEAD":                     nil,
		"a plugin, an indoor household":   nil,
	} {
		if diff := cmp.Diff(want, avoidedIn(text, use)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	const src = "package p\n\n// a living\n// comment\nvar theRoom = \"one\\ntold\" + `dead\nend`\n"
	var got []string
	for _, p := range linesOfGo("pkg/p/a.go", []byte(src)) {
		for _, word := range avoidedIn(p.text, use) {
			got = append(got, fmt.Sprintf("%s:%d %s", p.path, p.line, word))
		}
	}
	if diff := cmp.Diff([]string{"pkg/p/a.go:3 living", "pkg/p/a.go:5 room", "pkg/p/a.go:5 told", "pkg/p/a.go:5 dead"}, got); diff != "" {
		t.Errorf("linesOfGo (-want +got):\n%s", diff)
	}
}
