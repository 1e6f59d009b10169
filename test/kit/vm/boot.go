package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/initramfs"
	"github.com/patchbay-cni/patchbay/test/kit/vm/wire"
)

// files are what scripts/test-boot.sh puts under .cache.
type files struct{ qemu, img, guest, cache string }

// findFiles finds them. A test without them is skipped, and fails in CI.
func findFiles(t testing.TB) files {
	t.Helper()
	f := files{qemu: nettest.Program(t, "qemu-x86"), img: nettest.Program(t, "qemu-img"), guest: nettest.Program(t, "vmguest")}
	f.cache = filepath.Join(filepath.Dir(filepath.Dir(f.guest)), "vm")
	return f
}

func (f files) path(name string) string { return filepath.Join(f.cache, name) }

// modules returns the names of those that the initramfs loads, in this order: for the disk, the interfaces and the serial port. systemd loads
// the others.
func (f files) modules() (names []string, err error) {
	text, err := os.ReadFile(f.path("modules"))
	if err != nil {
		return nil, err
	}
	for path := range strings.Lines(string(text)) {
		names = append(names, filepath.Base(strings.TrimSpace(path)))
	}
	return names, nil
}

// createDisk creates the disk of a machine: what it writes goes there, and everything else is read from the image.
func (f files) createDisk(path string) error {
	if out, err := exec.Command(f.img, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f.path("disk"), path).CombinedOutput(); err != nil {
		return fmt.Errorf("create disk: %w\n%s", err, out)
	}
	return nil
}

// commandLine is that of the kernel: without what takes time on an emulated CPU, and with interface names that a test can write down.
const commandLine = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on audit=0 apparmor=0 cryptomgr.notests no_timer_check " +
	"net.ifnames=0 systemd.show_status=0 systemd.mask=systemd-logind.service"

// arguments returns those of qemu but for the network. A reboot ends qemu.
func (f files) arguments(dir string) []string {
	return []string{
		"-accel", "tcg,tb-size=256", "-cpu", "Nehalem-v1", "-m", fmt.Sprint(memory), "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", f.path("vmlinuz"), "-initrd", filepath.Join(dir, "initramfs"), "-append", commandLine,
		"-serial", "file:" + filepath.Join(dir, "console"),
		"-drive", "file=" + filepath.Join(dir, "disk") + ",format=qcow2,if=virtio,cache=unsafe",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=port,path=" + filepath.Join(dir, "port"), "-device", "virtserialport,chardev=port,name=" + wire.Port,
		"-device", "virtio-rng-pci",
	}
}

// initScript mounts the disk, and starts its systemd with a unit that runs vmguest: in /run, so that the image has nothing of the tests.
const initScript = `#!/bin/busybox sh
b=/bin/busybox
for module in %s; do $b insmod /lib/$module; done
$b mount -t devtmpfs dev /dev
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 -o noatime /dev/vda /root
$b mount -t tmpfs -o mode=755 run /run
$b mkdir -p /run/vm /run/systemd/system/sysinit.target.wants
$b cp /bin/vmguest /run/vm/
$b cp /vmguest.service /run/systemd/system/
$b ln -s ../vmguest.service /run/systemd/system/sysinit.target.wants/
$b mount -o move /run /root/run
exec $b switch_root /root /lib/systemd/systemd
`

const unit = `[Unit]
DefaultDependencies=no
[Service]
ExecStart=/run/vm/vmguest
KillMode=process
`

// writeInitramfs writes the initramfs, which starts systemd of the disk.
func (f files) writeInitramfs(path string) error {
	modules, err := f.modules()
	if err != nil {
		return err
	}
	return initramfs.Write(path, func(a *initramfs.Archive) {
		for _, dir := range []string{"/dev", "/proc", "/root", "/run"} {
			a.Dir(dir)
		}
		a.CopyAs(f.path("busybox"), "/bin/busybox")
		a.CopyAs(f.guest, "/bin/vmguest")
		a.File("/init", 0o755, []byte(fmt.Sprintf(initScript, strings.Join(modules, " "))))
		a.File("/vmguest.service", 0o644, []byte(unit))
		for _, name := range modules {
			a.CopyAs(f.path(name), "/lib/"+name)
		}
	})
}
