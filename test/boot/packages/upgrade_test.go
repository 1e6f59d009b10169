package packages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// live is how many attachments a machine has while packages are exchanged.
const live = 50

// walkList is their network.
const walkList = `{"cniVersion": "1.0.0", "name": "walk", "plugins": [
	{"type": "patchbay", "bridge": "walk0", "isDefaultGateway": true, "ipMasq": true, "capabilities": {"portMappings": true},
	 "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}]}`

const walkPath = "/etc/cni/net.d/30-walk.conflist"

// attachAll attaches all namespaces by the program that is installed, one after the other: not every version takes several names. n2 publishes the port of
// its server, and each fifth another one.
func (s *site) attachAll(t *testing.T) {
	t.Helper()
	s.Write(t, walkPath, "0644", []byte(walkList))
	for i := 1; i <= live; i++ {
		ports := ""
		switch {
		case i == 2:
			ports = "-p 8002:7 -p 8002:7/udp "
		case i%5 == 0:
			ports = fmt.Sprintf("-p %d:80 ", 9000+i)
		}
		s.Shell(t, fmt.Sprintf("patchbay up --network walk %sn%d", ports, i))
	}
	s.allThere(t)
}

// allThere requires that the program lists all of them, and that none is stale or incomplete.
func (s *site) allThere(t *testing.T) {
	t.Helper()
	expect.Equal(t, "attachments that are up", s.Shell(t, `patchbay ls -o json | grep -c '"state": "up"'`), fmt.Sprintln(live))
}

// checkAll requires that CHECK of all of them passes, and that doctor finds nothing.
func (s *site) checkAll(t *testing.T, when string) {
	t.Helper()
	expect.Equal(t, "passed CHECK "+when, s.Run(t, "/root/guest", "check", walkPath), fmt.Sprintln(live))
	expect.Contains(t, s.Run(t, "patchbay", "doctor"), fmt.Sprintf("no problems found; examined %d attachments", live))
}

// downAll deletes all of them.
func (s *site) downAll(t *testing.T) {
	t.Helper()
	s.Shell(t, fmt.Sprintf("patchbay down $(seq -f n%%g %d)", live))
	expect.Equal(t, "attachments", s.Run(t, "patchbay", "ls", "-o", "name"), "")
	s.Shell(t, "rm "+walkPath+"; rmdir -p --ignore-fail-on-non-empty /etc/cni/net.d")
}

// pidOf returns the main process of the service.
func (s *site) pidOf(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(s.Run(t, "systemctl", "show", "-P", "MainPID", "patchbay-reload"))
}

// TestUpgrade: a machine with 50 attachments of the older package and traffic is upgraded, downgraded and upgraded, a removal is refused and another one
// forced. No packet is lost meanwhile. Then everything is removed.
//
// Claim: The .deb is upgraded, downgraded and reinstalled while 50 attachments with traffic are live: 0 packets are lost, CHECK of all passes
// Claim: An upgrade of the .deb restarts patchbay-reload.service, and leaves units that the administrator disabled or masked, and files that override it
// Claim: After `down` of all attachments and `dpkg -P` a Debian 12 has the files and the kernel state from before the installation, but for forwarding
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.copyFile(t, built(t, "older.deb"), "/root/older.deb", "0644")
	files, kernel := s.files(t), s.kernel(t)
	s.dpkg(t, "-i /root/older.deb")
	s.installed(t, older)
	s.administrator(t)
	s.attachAll(t)
	s.startFlows(t)

	before := s.pidOf(t)
	s.dpkg(t, "-i /root/newer.deb")
	s.upgraded(t, before)
	s.dpkg(t, "-i /root/older.deb")
	s.installed(t, older)
	s.goOn(t, "after a downgrade")
	s.checkAll(t, "after a downgrade")
	s.dpkg(t, "-i /root/newer.deb")
	s.forced(t)
	s.noneLost(t)

	s.asAdministratorLeft(t)
	s.downAll(t)
	out := s.dpkg(t, "-P patchbay")
	expect.Contains(t, out, "deleted table inet patchbay of nftables", "deleted bridge walk0")
	s.asBefore(t, files, kernel)
}

// administrator changes what the package brings in the ways that docs/releases.md and systemd have, and in one that dpkg does not keep.
func (s *site) administrator(t *testing.T) {
	t.Helper()
	s.Shell(t, `systemctl disable -q --now patchbay-metrics.timer
		systemctl stop patchbay-gc.timer; systemctl mask -q patchbay-gc.timer
		mkdir /etc/systemd/system/patchbay-reload.service.d
		printf '[Service]\nEnvironment=MINE=1\n' >/etc/systemd/system/patchbay-reload.service.d/mine.conf
		echo '# mine' >/etc/systemd/network/05-patchbay.network
		echo '# edited in place' >>/usr/lib/systemd/network/05-patchbay.network
		systemctl daemon-reload`)
}

// upgraded requires the new program, also for the service, and what the administrator has decided.
func (s *site) upgraded(t *testing.T, pid string) {
	t.Helper()
	s.installed(t, newer)
	s.goOn(t, "after the upgrade")
	s.checkAll(t, "after the upgrade")
	s.active(t, "patchbay-reload.service")
	if s.pidOf(t) == pid {
		t.Error("patchbay-reload.service was not restarted")
	}
	expect.Equal(t, "program of the service", s.Shell(t, "readlink /proc/"+s.pidOf(t)+"/exe"), program+"\n")
	expect.Contains(t, s.Shell(t, "tr '\\0' '\\n' </proc/"+s.pidOf(t)+"/environ"), "MINE=1")
	for unit, want := range map[string]string{"patchbay-metrics.timer": "disabled inactive", "patchbay-gc.timer": "masked inactive", "patchbay-reload.service": "enabled active"} {
		enabled, active := s.Try(t, "systemctl", "is-enabled", unit).Stdout, s.Try(t, "systemctl", "is-active", unit).Stdout
		expect.Equal(t, unit, strings.Join(strings.Fields(enabled+active), " "), want)
	}
	expect.Equal(t, "file of the administrator", s.Run(t, "cat", "/etc/systemd/network/05-patchbay.network"), "# mine\n")
}

// asAdministratorLeft undoes administrator: these files are not the package's.
func (s *site) asAdministratorLeft(t *testing.T) {
	t.Helper()
	s.Shell(t, `systemctl unmask -q patchbay-gc.timer
		rm -r /etc/systemd/system/patchbay-reload.service.d /etc/systemd/network/05-patchbay.network`)
}

// forced requires that removal is refused, that it is possible all the same, and that the attachments go on, until the package is installed again.
func (s *site) forced(t *testing.T) {
	t.Helper()
	r := s.Try(t, "sh", "-c", "dpkg -r patchbay 2>&1")
	if r.Exit == 0 {
		t.Error("removal is not refused")
	}
	expect.Contains(t, r.Stdout, "attachments exist: walk/n1/eth0, ", "and 45 more", "patchbay ls lists all", "PATCHBAY_FORCE_REMOVE=1")
	s.installed(t, newer)
	s.active(t, "patchbay-reload.service")
	out := s.Shell(t, "PATCHBAY_FORCE_REMOVE=1 dpkg -r patchbay 2>&1")
	expect.Contains(t, out, "attachments exist: walk/n1/eth0, ", "these attachments work until their containers end")
	expect.Equal(t, "program after removal", s.Shell(t, "ls "+program+" 2>/dev/null || :"), "")
	s.goOn(t, "after a forced removal")
	s.dpkg(t, "-i /root/newer.deb")
	s.goOn(t, "after another installation")
	s.checkAll(t, "after another installation")
}
