package printable_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestText(t *testing.T) {
	tests := []struct {
		name, text string
		most       int
		want       string
	}{
		{"name", "default/web-0", 64, "default/web-0"},
		{"empty", "", 5, ""},
		{"line breaks", "web\nfix: reboot\r\n", 0, `web\nfix: reboot\r\n`},
		{"escape sequence", "\x1b]0;title\a\x1b[2J", 0, `\x1b]0;title\a\x1b[2J`},
		{"C1 control characters", "a\u009b2Jb\u0085c", 0, `a\u009b2Jb\u0085c`},
		{"NUL and DEL", "a\x00b\x7f", 0, `a\x00b\x7f`},
		{"invalid UTF-8", "a\xff\xc3b", 0, `a\xff\xc3b`},
		{"replacement character", "a\ufffdb", 0, "a\ufffdb"},
		{"direction marks", "web\u202e\u2066gpj.exe\u200f", 0, `web\u202e\u2066gpj.exe\u200f`},
		{"invisible characters", "a\u200bb\u200d\ufeffc\u00ad\u2060\u115f\u3164\ufe0f\u2800", 0, `a\u200bb\u200d\ufeffc\u00ad\u2060\u115f\u3164\ufe0f\u2800`},
		{"tags", "a\U000e0041", 0, `a\U000e0041`},
		{"line and paragraph separators, no-break space", "a\u2028b\u2029c\u00a0", 0, `a\u2028b\u2029c\u00a0`},
		{"letters of other scripts", "böse-貓-ศ", 0, "böse-貓-ศ"},
		{"cut", "abcdef", 4, "abc…"},
		{"not cut", "abcd", 4, "abcd"},
		{"letters cut", "äöüäöü", 4, "äöü…"},
		{"an escape is not split", "ab\x1bcdef", 5, "ab…"},
		{"one character", "abc", 1, "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable.Text(tt.text, tt.most); got != tt.want {
				t.Errorf("Text(%q, %d) = %q, want %q", tt.text, tt.most, got, tt.want)
			}
		})
	}
}

// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestCommand(t *testing.T) {
	name := printable.Name
	tests := []struct {
		name string
		argv []string
		want string
	}{
		{"plain words", []string{"ip", "link", "del", name("cni0")}, "ip link del cni0"},
		{"options", []string{"iptables", "-I", "FORWARD", "--ctstate", "RELATED,ESTABLISHED"}, "iptables -I FORWARD --ctstate RELATED,ESTABLISHED"},
		{"a rule of nft", []string{"nft", `insert rule ip filter "x y" accept`}, `nft 'insert rule ip filter "x y" accept'`},
		{"a quote", []string{"echo", "it's"}, `echo 'it'\''s'`},
		{"assignment", []string{"A=b", "x"}, "A=b x"},
		{"first is =", []string{"=x"}, "'=x'"},
		{"tilde", []string{"ls", "~root"}, "ls '~root'"},
		{"shell syntax in an argument", []string{"sysctl", "net.ipv4.ip_forward=1; reboot"}, "sysctl 'net.ipv4.ip_forward=1; reboot'"},
		{"an empty argument", []string{"ip", ""}, "# no command is offered: an argument is empty"},
		{"an empty name", []string{"ip", name("")}, `# no command is offered: "" is no plain name`},
		{"a name that is a command", []string{"ip", name(";reboot")}, `# no command is offered: ";reboot" is no plain name`},
		{"a name that is an option", []string{"ip", name("-all")}, `# no command is offered: "-all" is no plain name`},
		{"a name with a line break", []string{"ip", name("a\nreboot")}, `# no command is offered: "a\nreboot" is no plain name`},
		{"a line break", []string{"ip", "a\nreboot"}, `# no command is offered: "a\nreboot" has characters that cannot be shown`},
		{"a name with a wildcard", []string{"iptables", "-i", name("veth+")}, `# no command is offered: "veth+" is no plain name`},
		{"a wildcard of iptables", []string{"iptables", "-i", "veth+"}, `# no command is offered: "veth+" has a wildcard`},
		{"a wildcard of nft", []string{"nft", `iifname "veth*" accept`}, `# no command is offered: "iifname "veth*" accept" has a wildcard`},
		{"a long name", []string{name(strings.Repeat("ü", 100))}, `# no command is offered: "` + strings.Repeat("ü", 63) + `…" is no plain name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable.Command(tt.argv...); got != tt.want {
				t.Errorf("Command(%q) = %q, want %q", tt.argv, got, tt.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "web", "a\nb", "\x1b[2J", "\xff", "\u202e", "äöü"} {
		f.Add(seed, 4)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		most %= 1000
		got := printable.Text(text, most)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
			return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e
		}) {
			t.Errorf("Text(%q, %d) = %q", text, most, got)
		}
		if most > 0 && utf8.RuneCountInString(got) > most {
			t.Errorf("Text(%q, %d) = %q is longer", text, most, got)
		}
		if again := printable.Text(got, most); again != got {
			t.Errorf("Text of %q is %q", got, again)
		}
	})
}

// FuzzCommand: a shell reads exactly the arguments, or nothing.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{"", "cni0", ";reboot", "a b", "it's", "$(id)", "`id`", "-n", "a\nb", "veth+", "*", "\\", "!", "#", "~", "=", "é", "\x00x"} {
		f.Add(seed, "x")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no sh")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		command := printable.Command("args", a, printable.Name(b), "end")
		got, err := exec.Command(shell, "-c", "args() { for a; do printf '%s\\0' \"$a\"; done; }\n"+command).Output()
		if err != nil {
			t.Fatalf("sh of %q: %v", command, err)
		}
		want := a + "\x00" + b + "\x00end\x00"
		if strings.HasPrefix(command, "# ") {
			want = ""
		}
		if string(got) != want {
			t.Errorf("the shell reads %q of %q, want %q", got, command, want)
		}
		if strings.Contains(command, "\n") || !strings.HasPrefix(command, "# ") && !printable.IsPlain(b) {
			t.Errorf("Command(%q, Name(%q)) = %q", a, b, command)
		}
	})
}

// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestRefusal(t *testing.T) {
	if got := printable.Refusal("cni0", "filter"); got != "" {
		t.Errorf("of plain names: %q", got)
	}
	if got, want := printable.Refusal("cni0", "br*"), `# no command is offered: "br*" is no plain name`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestJSON: JSON decodes to the same value, and a terminal shows every character.
//
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestJSON(t *testing.T) {
	for _, text := range []string{"web", "ö貓", "a\nb\x1b", "\x7f\u009b", "\u202egpj", "\U000e0041", `"\`} {
		encoded, err := json.MarshalIndent(map[string]string{"name": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := printable.JSON(encoded)
		var back map[string]string
		if err := json.Unmarshal(got, &back); err != nil || back["name"] != text {
			t.Errorf("%q became %s, %v", text, got, err)
		}
		if shown := strings.ReplaceAll(string(got), "\n", ""); printable.Text(shown, 0) != shown {
			t.Errorf("%q is not printable: %q", text, got)
		}
	}
}

// TestLines: a text that is written in any pieces is escaped line by line.
//
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestLines(t *testing.T) {
	const text = "wörld\n\x1b[2Jfix: \u202erm\n\nhalf \xc3\nend \xe8\xb2"
	const want = "wörld\n" + `\x1b[2Jfix: \u202erm` + "\n\nhalf " + `\xc3` + "\nend "
	for size := 1; size <= len(text); size++ {
		var out strings.Builder
		w := printable.Lines(&out)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if written, err := w.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), want)
		}
	}
}
