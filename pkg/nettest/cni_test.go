package nettest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCallEnvironment(t *testing.T) {
	t.Parallel()
	h := Host(t)
	c := h.Container("c")
	plugin := Script(t, "env | grep -v -e ^PWD -e ^_ -e ^SHLVL -e ^OLDPWD | sort; cat; ls $CNI_NETNS; echo warn >&2; exit 7")
	a := h.CNI(t, Call{
		Command: "DEL", ContainerID: "id", Netns: c.Path(), IfName: "eth0", Config: []byte("{config}\n"),
		Env: []string{"EXTRA=1", "CNI_IFNAME=eth9"}, Unset: []string{"CNI_ARGS"}, Plugin: plugin,
	})
	want := strings.Join([]string{
		"CNI_COMMAND=DEL", "CNI_CONTAINERID=id", "CNI_IFNAME=eth9", "CNI_NETNS=/run/netns/c", "CNI_PATH=" + filepath.Dir(plugin),
		"EXTRA=1", "PATH=" + os.Getenv("PATH"), "{config}", "/run/netns/c", "",
	}, "\n")
	if diff := cmp.Diff(Answer{Exit: 7, Stdout: []byte(want), Stderr: []byte("warn\n")}, a); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := Host(t)
	ok := h.CNI(t, Call{Plugin: Script(t, `echo '{"cniVersion":"0.2.0","ip4":{"ip":"192.0.2.2/24"}}'`)})
	if ips := ok.Result(t).IPs; len(ips) != 1 || ips[0].Address.String() != "192.0.2.2/24" {
		t.Errorf("addresses %v", ips)
	}
	bad := h.CNI(t, Call{Plugin: Script(t, `echo '{"code":7,"msg":"m","details":"d"}'; exit 1`)})
	if e := bad.Error(t); e.Code != 7 || e.Msg != "m" || e.Details != "d" {
		t.Errorf("error %+v", e)
	}
	for name, f := range map[string]func(testing.TB){
		"plugin succeeded": func(t testing.TB) { ok.Error(t) },
		"plugin failed":    func(t testing.TB) { bad.Result(t) },
		"not a CNI error":  func(t testing.TB) { Answer{Exit: 1}.Error(t) },
		"not a CNI result": func(t testing.TB) { Answer{}.Result(t) },
	} {
		if r := record(t, f); !strings.HasPrefix(r.said(), name) {
			t.Errorf("said %q, want %q", r.said(), name)
		}
	}
}

// TestManyCalls: calls that are under way at once meet each other.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	h := Host(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := h.StartCNI(t, Call{Plugin: Script(t, "cat "+fifo)})
	writer := h.StartCNI(t, Call{Plugin: Script(t, "echo met > "+fifo)})
	if got := string(reader.Wait(t).Stdout); got != "met\n" {
		t.Errorf("reader has %q", got)
	}
	writer.Wait(t).OK(t)
	killed := h.StartCNI(t, Call{Plugin: Script(t, "exec sleep 60")})
	if err := killed.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if a := killed.Wait(t); a.Exit != -1 {
		t.Errorf("killed plugin: %s", a)
	}
}
