package structure

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// command is how a shell command for a person begins, as far as this program prints any.
const command = `(?:^|[^a-z-])(?:ip (?:-[46] )?(?:link|address|addr|route|netns|neigh|rule)|bridge (?:link|fdb|vlan|mdb)|nft|ip6?tables(?:-legacy)?|ebtables|sysctl|ufw|firewall-cmd|sed|grep|ss|systemctl|modprobe|chown|chmod|kill|rm|conntrack|nsenter) `

// A command that a format or an addition completes: a verb in it that is no number, or nothing behind it.
var (
	formatted = regexp.MustCompile(command + `(?:[^;.,(]*)%[-+# 0]*[^d%]|patchbay (?:attach|detach|up|down|inspect) %`)
	begun     = regexp.MustCompile(command + `[^;.,(]*$|patchbay (?:attach|detach|up|down|inspect) $`)
)

// unquoted names each text that is made into a command otherwise than by printable.Command.
func unquoted(f source) []string {
	var bad []string
	note := func(lit *ast.BasicLit) {
		bad = append(bad, fmt.Sprintf("%s:%d %s: make the command by printable.Command, names in it by printable.Name", f.path, f.line(lit.Pos()), lit.Value))
	}
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if formatted.MatchString(textOf(n)) {
				note(n)
			}
		case *ast.BinaryExpr:
			if lit, ok := rightmost(n.X); ok && n.Op == token.ADD && begun.MatchString(textOf(lit)) && !isLiteral(n.Y) {
				note(lit)
			}
		}
		return true
	})
	slices.Sort(bad)
	return slices.Compact(bad)
}

// rightmost is the literal that an addition ends with.
func rightmost(e ast.Expr) (*ast.BasicLit, bool) {
	if sum, ok := e.(*ast.BinaryExpr); ok {
		e = sum.Y
	}
	lit, ok := e.(*ast.BasicLit)
	return lit, ok
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}

func textOf(lit *ast.BasicLit) string {
	if lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}

// TestCommands: every command that is printed for a person is quoted in one place.
//
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestCommands(t *testing.T) {
	for _, f := range sources(t) {
		if !f.isTest() && !strings.HasPrefix(f.path, "test/") && f.dir() != "pkg/nettest" && f.dir() != "pkg/printable" {
			report(t, unquoted(f))
		}
	}
}

// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestUnquotedFinds(t *testing.T) {
	for text, want := range map[string]bool{
		`"ip link set " + name + " up"`:                      true,
		`fmt.Sprintf("ip link del %s", name)`:                true,
		`fmt.Errorf("it stays; nft delete table %s", table)`: true,
		`"patchbay detach " + name`:                          true,
		`x + "iptables -D " + chain`:                         true,
		`fmt.Sprintf("ss -lnp 'sport = %d'", port)`:          false,
		`"patchbay reload"`:                                  false,
		`fmt.Sprintf("the ip link of %s", name)`:             true, // rather one too many
		`fmt.Sprintf("look up bridge %s", name)`:             false,
		`"ip link del x" + "y"`:                              false,
		`printable.Command("ip", "link", "del", name)`:       false,
		`fmt.Sprintf("see patchbay help %s", name)`:          false,
	} {
		f := parse(t, "pkg/a/a.go", []byte("package a\n\nvar x = "+text+"\n"))
		if got := unquoted(f); (len(got) > 0) != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// speakers are the files that write to stderr themselves, each by a printer of what others chose, or nothing of it.
func speakers() []string {
	return []string{
		"pkg/cli/program.go",             // the file, for the program that a person runs
		"pkg/delegate/find.go",           // an IPAM plugin's own words, through printable.Lines
		"pkg/hostbridge/watchdog.go",     // the file, for the second process of the program
		"pkg/link/sandbox.go",            // a sentence of its own
		"pkg/report/report.go",           // Warn
		"plugins/patchbay-agent/main.go", // log/slog, which quotes
		"plugins/patchbay-lan/main.go",
		"plugins/patchbay/cni.go",  // a panic and its stack
		"plugins/patchbay/main.go", // the version
		"plugins/patchbay/say.go",  // complain
		"plugins/patchbay/up.go",   // through sayLine
	}
}

// TestSpeakers: who else writes to stderr might print what others chose as it is.
//
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
func TestSpeakers(t *testing.T) {
	var found []string
	for _, f := range sources(t) {
		if f.isTest() || strings.HasPrefix(f.path, "test/") || strings.HasPrefix(f.path, "scripts/") || f.dir() == "pkg/nettest" {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Stderr" {
				if of, ok := s.X.(*ast.Ident); ok && of.Name == "os" {
					found = append(found, f.path)
				}
			}
			return true
		})
	}
	slices.Sort(found)
	if diff := cmp.Diff(speakers(), slices.Compact(found)); diff != "" {
		t.Errorf("who writes to os.Stderr (-want +got):\n%s", diff)
	}
}
