package firewalls

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDoctorRisks: programs that run on the host, and their files, are risks: the exit status stays 0, and the printed commands end them.
//
// Claim: A risk does not change the exit status of `patchbay doctor`, which prints it with program, file, line and commands
func TestDoctorRisks(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.Run(t, "sh", "-ec", `mount -t tmpfs tmpfs /etc/systemd; mount -t tmpfs tmpfs /etc/sysctl.d; mkdir -p /etc/systemd/network
printf '[Match]\nName=*\n' >/etc/systemd/network/50-all.network
echo net.ipv4.ip_forward=0 >/etc/sysctl.d/70-off.conf
cp "$(command -v sleep)" /run/systemd-network`)
	s.populateWithUDP(t, network())
	s.healthy(t, "with risks of programs that do not run")
	_, text, _ := s.patchbay(t, "doctor")
	if strings.Contains(text, "networkd") {
		t.Errorf("systemd-networkd does not run:\n%s", text)
	}
	networkd := s.Command("/run/systemd-network", "600")
	if err := networkd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = networkd.Process.Kill(); _ = networkd.Wait() })
	exit, text, _ := s.patchbay(t, "doctor")
	expect.Equal(t, "exit", exit, 0)
	expect.Contains(t, text, "risk: systemd-networkd configures bridge cni0, which Patchbay created", "   seen: /etc/systemd/network/50-all.network:2: Name=*\n",
		"risk: IPv4 forwarding is disabled again when /etc/sysctl.d/70-off.conf is applied", "   fix:  sed -i 1s/0/1/ /etc/sysctl.d/70-off.conf\n", "no problems found, 3 risks; examined 2 attachments")
	_, out, _ := s.patchbay(t, "doctor", "-o", "json")
	expect.Contains(t, out, `"program": "systemd-networkd"`, `"seen": "/etc/systemd/network/50-all.network:2: Name=*"`)
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "fix:  ")
		if strings.HasPrefix(line, "printf ") || strings.HasPrefix(line, "sed ") {
			s.shell(t, line)
		}
	}
	_, text, _ = s.patchbay(t, "doctor")
	expect.Contains(t, text, "no problems found; examined 2 attachments")
	s.leave(t, network())
	s.Run(t, "rm", "/run/systemd-network")
}
