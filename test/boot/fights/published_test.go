package fights

import (
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// dockerPublishes starts docker, and a container of an image of busybox, whose port 80 answers "docker" and is published on 8090.
const dockerPublishes = `systemctl start docker
	ln -f /bin/busybox /root/busybox; tar -C /root -c busybox | docker import - box >/dev/null
	docker run -d --restart=always --name box -p 8090:80 box /busybox nc -ll -p 80 -e /busybox echo docker`

// TestDockerPublishes: docker and Patchbay publish ports of one host.
//
// Claim: Published ports of docker and of Patchbay work beside one another, from outside and from the containers of each, also after docker restarts;
// a port that docker publishes is refused by ADD, and one that docker takes is reported with a command that gives it back
func TestDockerPublishes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.attach(t)
	s.Shell(t, dockerPublishes)
	s.bothAnswer(t)
	s.Shell(t, restartDocker)
	s.bothAnswer(t)
	r := s.Try(t, "patchbay", "up", "other", "-p", "8090:80")
	expect.Equal(t, "exit of up", r.Exit, 1)
	expect.Contains(t, r.Stderr, "port 8090/tcp is in use by a process of the host (0.0.0.0:8090)")
	s.bothAnswer(t)

	s.Shell(t, "docker run -d --name same -p 8080:80 box /busybox nc -ll -p 80 -e /busybox echo same")
	s.awaitPort(t, 8080, "same\n") // docker's chain comes before that of Patchbay
	const fix = "iptables -t nat -I PREROUTING -p tcp --dport 8080 -m addrtype --dst-type LOCAL -j ACCEPT"
	expect.Contains(t, s.doctor(t), "docker may redirect IPv4 connections to port 8080/tcp of web of network patchbay: another destination gets them", fix)
	s.Shell(t, fix)
	s.bothAnswer(t)
}

// bothAnswer requires that the ports of both answer, to the outside and to the container of the other one.
func (s *site) bothAnswer(t *testing.T) {
	t.Helper()
	s.await(t, works)
	s.awaitPort(t, 8090, "docker\n")
	expect.Equal(t, "from a container of Patchbay", s.Shell(t, "ip netns exec web busybox nc 192.0.2.10 8090 </dev/null"), "docker\n")
	expect.Equal(t, "from a container of docker", s.Shell(t, "docker exec box /busybox nc 192.0.2.10 8081 </dev/null"), "in")
}

// awaitPort waits until a port of the host answers with a text.
func (s *site) awaitPort(t *testing.T, port int, want string) {
	t.Helper()
	for begun := time.Now(); s.read(port, 3*time.Second) != want; time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("port %d does not answer with %q\n%s", port, want, s.state(t))
		}
	}
}
