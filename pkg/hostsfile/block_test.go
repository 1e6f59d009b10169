package hostsfile

import (
	"strings"
	"testing"
)

const one, two = "10.0.0.2\tweb\n", "10.0.0.2\tweb\n10.0.0.3\tdb\n"

// TestBlock: the block is added, replaced and removed, and every other byte stays.
//
// Claim: In a hosts file only the marked block is patchbay's: every line outside is kept byte for byte
func TestBlock(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty":                 "",
		"lines":                 "127.0.0.1 localhost\n# a comment\n\n",
		"no newline at the end": "127.0.0.1 localhost",
		"carriage returns":      "127.0.0.1 localhost\r\n\r\n",
		"a lonely end":          "# END patchbay\n127.0.0.1 localhost\n",
		"no text":               "\x00\xff\n\n",
	} {
		added := Parse(content).With(one)
		if got := Parse(added); got.State != Intact || got.Body != one {
			t.Errorf("%s: %q is read as %+v", name, added, got)
		}
		longer := Parse(added).With(two)
		if got := Parse(longer); got.State != Intact || got.Body != two || !strings.HasPrefix(longer, content) {
			t.Errorf("%s: %q is read as %+v", name, longer, got)
		}
		if got := Parse(longer).Without(); got != content {
			t.Errorf("%s: %q is left of %q", name, got, content)
		}
		behind := Parse(longer + "192.0.2.1 mine\n").With(one)
		if got := Parse(behind); got.State != Intact || got.After != "192.0.2.1 mine\n" {
			t.Errorf("%s: a line behind the block: %+v", name, got)
		}
		if got, want := Parse(behind).Without(), strings.TrimSuffix(content, "\n")+"\n192.0.2.1 mine\n"; got != strings.TrimPrefix(want, map[bool]string{true: "\n"}[content == ""]) {
			t.Errorf("%s: %q is left, want %q", name, got, want)
		}
	}
}

// TestEdited: a block that was changed by hand is recognized, whatever was changed.
//
// Claim: A hosts file whose block was edited by hand is kept as it is, and reported with the fix
func TestEdited(t *testing.T) {
	t.Parallel()
	whole := Parse("127.0.0.1 localhost\n").With(two) + "192.0.2.1 mine\n"
	for name, edit := range map[string][2]string{
		"an address":         {"10.0.0.2", "10.0.0.9"},
		"a line more":        {endLine, "192.0.2.2 other\n" + endLine},
		"a line less":        {one, ""},
		"the hash":           {beginPrefix, beginPrefix + "0"},
		"no end":             {endLine + "\n", ""},
		"text after the end": {endLine, endLine + " not"},
		"a second block":     {"192.0.2.1 mine\n", Parse("").With(one)},
		"the text of head":   {"edit only", "edit"},
		"carriage returns":   {"\n", "\r\n"},
	} {
		edited := strings.ReplaceAll(whole, edit[0], edit[1])
		if got := Parse(edited); got.State != Edited || got.Before != strings.ReplaceAll("127.0.0.1 localhost\n", edit[0], edit[1]) {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

// TestLegal: host names are those of RFC 1123 that inet_aton(3) does not read as an address.
//
// Claim: A name that is no legal host name is left out of hosts files, and `up` reports it
func TestLegal(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, name := range []string{"web", "WEB", "web-1", "1web", "web.lab", "web.1a", label, label + ".x", "3com.example"} {
		if !Legal(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", "_web", "my_db", "-web", "web-", "web.", ".web", "a..b", label + "a", "1", "10.1", "web.1", "0x1f", "web.0x1f", "wéb", "we b", "web\n", "a#b"} {
		if Legal(name) {
			t.Errorf("%q is accepted", name)
		}
	}
	if long := strings.Repeat(label+".", 4); Legal(long[:254]) || !Legal(long[:253]) {
		t.Error("the limit of 253 bytes does not hold")
	}
}

// FuzzBlock: what Parse reads is what With wrote, and Without restores the file.
func FuzzBlock(f *testing.F) {
	f.Add("127.0.0.1 localhost\n", "10.0.0.2\tweb\n", "192.0.2.1 mine\n")
	f.Add("127.0.0.1 localhost", "", "")
	f.Add(Parse("x\n").With(one), one, "\r\n")
	f.Add("# BEGIN patchbay \n", one, "# END patchbay")
	f.Fuzz(func(t *testing.T, content, body, behind string) {
		if body != "" && !strings.HasSuffix(body, "\n") {
			body += "\n"
		}
		if strings.Contains("\n"+body, "\n# BEGIN") || strings.Contains("\n"+body, "\n# END") {
			return
		}
		text := Parse(content)
		if text.State == Edited {
			return
		}
		added := Parse(text.With(body))
		if added.State != Intact || added.Body != body || added.After != text.After || !strings.HasPrefix(added.Before, text.Before) {
			t.Fatalf("%q with %q is %+v", content, body, added)
		}
		if got := added.Without(); got != text.Without() {
			t.Fatalf("%q is left of %q", got, content)
		}
		if strings.Contains(behind, beginPrefix) {
			return
		}
		if later := Parse(added.With(body) + behind); later.State != Intact || later.After != text.After+behind {
			t.Fatalf("%q behind the block: %+v", behind, later)
		}
	})
}
