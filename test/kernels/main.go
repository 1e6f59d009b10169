// Kernels runs compiled tests on another kernel: in a virtual machine of qemu, which boots an initramfs with the tests, what they
// need of this machine's programs, and this program as its init. No file of the machine is changed and none is shared with it.
//
//	kernels -name 6.12 -qemu COMMAND -kernel DIR -busybox FILE -tests DIR [-run REGEXP] [-timeout 30m] PACKAGE...
//
// A PACKAGE is a directory of the module test, or of the root module: the compiled tests of test/network/nat are DIR/test-network-nat.test. The events of the
// tests are printed as `go test -json` prints them; the exit status is 1 if a test failed or if the machine did not answer.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if os.Getpid() == 1 {
		initMachine()
		return
	}
	j := &job{}
	flag.StringVar(&j.name, "name", "", "name of the kernel, as of KERNELS in scripts/test-kernels.sh")
	flag.StringVar(&j.qemu, "qemu", "qemu-system-x86_64", "qemu, or a script that runs it")
	flag.StringVar(&j.kernel, "kernel", "", "directory of an unpacked kernel package, with boot and lib/modules")
	flag.StringVar(&j.busybox, "busybox", "/bin/busybox", "a static busybox")
	flag.StringVar(&j.tests, "tests", "", "directory of the compiled tests")
	flag.StringVar(&j.root, "root", "", "directory of the repository")
	flag.StringVar(&j.init, "init", "", "this program, for the architecture of the kernel")
	flag.StringVar(&j.programs, "programs", "", "directory of unpacked packages with the programs that tests run; this machine's by default")
	flag.StringVar(&j.plugins, "plugins", "", "directory of the reference plugins")
	flag.StringVar(&j.plugin, "plugin", "", "the plugin under test")
	flag.StringVar(&j.run, "run", "", "only tests that match")
	flag.StringVar(&j.bench, "bench", "", "benchmarks that match")
	flag.StringVar(&j.table, "table", "", "write the results into the table of this page")
	flag.DurationVar(&j.timeout, "timeout", 30*time.Minute, "limit of the machine's life")
	flag.IntVar(&j.cpus, "cpus", 1, "virtual CPUs")
	flag.Parse()
	j.packages = flag.Args()
	if err := j.do(); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

// job is one boot of one kernel.
type job struct {
	name string // "6.12-arm64"

	qemu, kernel, init, busybox, tests, root, programs, plugin, plugins string

	release  string // of the kernel
	table    string
	run      string
	bench    string
	timeout  time.Duration
	cpus     int
	packages []string
}
