package reported

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// commandLines returns the rows of case 41. Each row is one host with web attached, and calls of one kind.
func commandLines() []row {
	const kind = "a command that fails says so by its exit status and suggests what was meant"
	calls := func(table ...commandLine) func(t *testing.T) {
		return func(t *testing.T) {
			p := newPerson(t)
			p.network("blue", "blue0", "10.1.0.0/24")
			p.ok("up", "web", "-p", "8080:80")
			for _, c := range table {
				p.try(c)
			}
			p.run("down", "web", "db")
		}
	}
	return []row{
		{"41", "misspelled commands", kind, calls(
			commandLine{"upp x", 1, "did you mean up?"}, commandLine{"lss", 1, "did you mean ls?"}, commandLine{"portz", 1, "did you mean ports?"},
			commandLine{"help lss", 1, "did you mean ls?"}, commandLine{"list", 1, "did you mean ls?"}, commandLine{"delete web", 1, "did you mean down?"},
			commandLine{"lxc enabel box", 1, "did you mean enable?"}, commandLine{"xyzzy", 1, `unknown command "xyzzy"; see patchbay help`},
		)},
		{"41.1", "help of everything", kind, calls(
			commandLine{"help", 0, "patchbay up NAME"}, commandLine{"--help", 0, "patchbay up NAME"}, commandLine{"-h", 0, "patchbay up NAME"},
			commandLine{"help help", 0, "patchbay help [COMMAND...]"}, commandLine{"help ls gc", 0, "patchbay gc:"}, commandLine{"--help ls", 0, "--network"},
			commandLine{"help --help", 0, "patchbay help [COMMAND...]"}, commandLine{"up web --help", 0, "patchbay up NAME"}, commandLine{"--version", 0, "."},
		)},
		{"41.2", "networks, ports and names that do not exist", kind, calls(
			commandLine{"show --network nosuch", 1, "networks: blue, patchbay (built in)"}, commandLine{"show --network bleu", 1, "did you mean blue?"},
			commandLine{"show --network blue", 0, "host "}, commandLine{"show --bridge nosuch", 1, "nosuch"},
			commandLine{"ls --network nosuch", 1, "networks: blue, patchbay (built in)"}, commandLine{"ports --network nosuch", 1, "networks: blue, patchbay (built in)"},
			commandLine{"gc --network nosuch", 1, "networks: blue, patchbay (built in)"}, commandLine{"detach web --network nosuch", 1, "networks: blue, patchbay (built in)"},
			commandLine{"up db --network nosuch", 1, "networks: blue, patchbay (built in)"}, commandLine{"ports 81", 1, "port 81 is not published"},
			commandLine{"ports 8080", 0, "10.77.0.2:80"}, commandLine{"ports 8080/udp", 1, "port 8080/udp is not published"},
			commandLine{"ports 81 -o json", 1, "port 81 is not published"}, commandLine{"inspect nosuch", 1, "attachment nosuch not found"},
			commandLine{"inspect wbe", 1, "did you mean web?"}, commandLine{"down wbe", 1, "did you mean web?"}, commandLine{"detach wbe", 1, "did you mean web?"},
			commandLine{"attach wbe", 1, "did you mean web?"},
		)},
		{"41.3", "unknown flags", kind, calls(
			commandLine{"ls --netwrk blue", 1, "did you mean --network?"}, commandLine{"up db --publsh 80", 1, "did you mean --publish?"},
			commandLine{"gc --dryrun", 1, "did you mean --dry-run?"}, commandLine{"ls --xyzzy", 1, "unknown flag --xyzzy; see patchbay help ls"},
			commandLine{"ls --network", 1, "--network needs a value"}, commandLine{"ls --width x", 1, "--width: invalid value"},
			commandLine{"version extra", 1, "version takes no argument"}, commandLine{"ls -o xml", 1, `--output: unknown format "xml"`},
		)},
		{"41.4", "several names", kind, severalNames},
		{"41.5", "one output flag for everything that lists", kind, oneOutputFlag},
		{"41.6", "flags before and after names", kind, calls(
			commandLine{"up --ip 10.77.0.9 db", 0, "10.77.0.9/24"}, commandLine{"detach --network patchbay db", 0, "db: eth0 detached"},
			commandLine{"attach db --ip=10.77.0.8", 0, "10.77.0.8/24"}, commandLine{"inspect -o text web", 0, "port 8080/tcp -> 10.77.0.2:80"},
			commandLine{"inspect web -o text", 0, "port 8080/tcp -> 10.77.0.2:80"}, commandLine{"ports --json 8080", 0, `"hostPort": 8080`},
			commandLine{"ports 8080 --json", 0, `"hostPort": 8080`},
		)},
	}
}

// commandLine is a command, its exit code, and a part of its output: of standard error if the exit code is 1.
type commandLine struct {
	words string
	exit  int
	part  string
}

func (p *person) try(c commandLine) {
	p.t.Helper()
	s := p.run(strings.Fields(c.words)...)
	where := s.out
	if c.exit != 0 {
		where = s.errors
	}
	if s.exit != c.exit || !strings.Contains(where, c.part) {
		p.t.Errorf("patchbay %s: exit %d, want %d and %q\n%s%s", c.words, s.exit, c.exit, c.part, s.out, s.errors)
	}
}

// severalNames: the command handles each name, and exits with 1 if one failed.
func severalNames(t *testing.T) {
	p := newPerson(t)
	for _, name := range []string{"a", "b", "c"} {
		p.ok("up", name)
	}
	expect.Equal(t, "down", p.ok("down", "a", "b"), "a: eth0 detached from network patchbay, released 10.77.0.2/24\na: namespace deleted\n"+
		"b: eth0 detached from network patchbay, released 10.77.0.3/24\nb: namespace deleted\n")
	s := p.fails([]string{"network namespace a not found"}, "down", "a", "c")
	expect.Contains(t, s.out, "c: namespace deleted")
	p.sh("ip netns add x; ip netns add y")
	p.ok("attach", "x")
	p.ok("attach", "y")
	s = p.fails([]string{"nosuch"}, "detach", "x", "nosuch", "y")
	expect.Contains(t, s.out, "x: eth0 detached", "y: eth0 detached")
	p.fails([]string{"down needs at least one name"}, "down")
	p.ok("up", "a", "b")
	p.ok("down", "a", "b")
	p.fails([]string{"up needs at least one name"}, "up")
	p.sh("ip netns del x; ip netns del y")
}

// oneOutputFlag: -o json, --output=json and --json print the same, and other formats are an error.
func oneOutputFlag(t *testing.T) {
	p := newPerson(t)
	p.ok("up", "web")
	for _, command := range []string{"ls", "ports", "show", "inspect web", "doctor", "gc", "version"} {
		words := strings.Fields(command)
		var first string
		for _, flag := range []string{"-o json", "--output=json", "--json", "-o=json"} {
			s := p.run(append(words, strings.Fields(flag)...)...)
			if s.exit != 0 || !json.Valid([]byte(s.out)) {
				t.Errorf("%s %s: exit %d: %s%s", command, flag, s.exit, s.out, s.errors)
			}
			if first == "" {
				first = s.out
			}
			expect.Equal(t, command+" "+flag, s.out, first)
		}
		expect.Equal(t, command+" -o text is no JSON", json.Valid([]byte(p.ok(append(words, "-o", "text")...))), false)
		p.fails([]string{`--output: unknown format "xml"`}, append(words, "-o", "xml")...)
		expect.Contains(t, p.ok("help", words[0]), "--output", "--json")
	}
	p.ok("down", "web")
	p.fails([]string{"port 81 is not published"}, "ports", "81")
	expect.Equal(t, "no ports, as JSON", p.run("ports", "81", "--json").out, "[]\n")
	expect.Equal(t, "no attachments", p.ok("ls", "--json"), "[]\n")
}
