package firstpacket

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// backlogDrops counts the packets that the CPUs dropped since boot because their backlog was full (net.core.netdev_max_backlog). A backlog
// belongs to a CPU, not to a namespace: a flood in one namespace makes others lose packets. The count is logged as a hint with failures.
func backlogDrops(t *testing.T) (drops uint64) {
	t.Helper()
	stat, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(stat)) { // one line per CPU: processed, dropped, in hexadecimal
		n, err := strconv.ParseUint(strings.Fields(line)[1], 16, 64)
		if err != nil {
			t.Fatalf("read softnet_stat: %v", err)
		}
		drops += n
	}
	return drops
}
