package packages

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// kills are moments at which dpkg is killed, as options of strace: each is a system call on a file.
func kills() []struct{ when, options string } {
	return []struct{ when, options string }{
		{"in the middle of the program", "-P " + program + ".dpkg-new -e inject=write:signal=KILL:when=20"},
		{"before the program gets its name", "-P " + program + ".dpkg-new -e inject=rename:signal=KILL"},
		{"when half of the files are new", "-P /usr/lib/systemd/system/patchbay-reload.service.dpkg-new -e inject=rename:signal=KILL"},
		{"before postinst", "-f -P /var/lib/dpkg/info/patchbay.postinst -e inject=execve:signal=KILL"},
	}
}

// interrupted kills dpkg while it installs the older and the newer package in turns. The program is a whole one of both at any time, and works.
func (s *site) interrupted(t *testing.T) {
	t.Helper()
	wholes := s.Shell(t, `for deb in older newer; do dpkg-deb --fsys-tarfile /root/$deb.deb | tar -xO .`+program+` | sha256sum; done`)
	for i, kill := range kills() {
		deb := []string{"/root/older.deb", "/root/newer.deb"}[i%2]
		r := s.Try(t, "sh", "-c", "strace -qq -o /root/trace "+kill.options+" dpkg -i "+deb+" 2>&1")
		t.Logf("killed %s: exit %d\n%s", kill.when, r.Exit, r.Stdout)
		expect.Contains(t, s.Shell(t, "tail -n 3 /root/trace"), "SIGKILL")
		if r.Exit == 0 || s.Run(t, "dpkg-query", "-W", "-f", "${db:Status-Status}", "patchbay") == "installed" {
			t.Errorf("killed %s: dpkg was not interrupted", kill.when)
		}
		if sum := s.Shell(t, "sha256sum <"+program); !strings.Contains(wholes, sum) {
			t.Errorf("killed %s: %s is neither the older nor the newer program", kill.when, program)
		}
		s.Shell(t, "patchbay up --network walk extra; patchbay down extra")
		s.goOn(t, "killed "+kill.when)
	}
	s.dpkg(t, "-i /root/newer.deb")
	s.installed(t, newer)
	s.active(t, "patchbay-reload.service")
	expect.Equal(t, "files of dpkg", s.Shell(t, "find /opt /usr -name '*.dpkg-*'"), "")
	s.checkAll(t, "after interrupted upgrades")
}
