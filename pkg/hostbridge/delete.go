package hostbridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// Delete moves the state of a bridge to its uplink and deletes the bridge, or restores the uplink of one that is not
// decided on and whose processes were killed. It returns the name of the uplink. A process that is killed meanwhile is
// replaced by its watchdog, which finishes. Errors wrap uplink.ErrForeign for a bridge that Create did not
// create. The caller has made sure that the bridge has no other ports.
func Delete(bridge string) (name string, err error) {
	k, err := uplink.Open()
	if err != nil {
		return "", err
	}
	defer k.Close()
	d, err := openDir(true)
	if err != nil {
		return "", err
	}
	defer d.close()
	lock, err := d.lock()
	if err != nil {
		return "", err
	}
	defer lock.Close()
	s, err := d.load(bridge)
	if err != nil {
		return "", err
	}
	left := s != nil
	if !left {
		if s, err = k.Back(bridge); err != nil {
			return "", err
		}
	}
	if ports, err := k.Ports(bridge, s.Uplink); err != nil || len(ports) > 0 {
		return "", errors.Join(err, portsLeft(bridge, ports))
	}
	if err := d.save(s, undo, 0); err != nil {
		return "", err
	}
	if err := d.forget(bridge, setup, wait); err != nil {
		return "", err
	}
	other, err := startWatchdog(bridge, time.Second, lock)
	if err != nil && !left {
		err = errors.Join(err, d.forget(bridge, undo))
	}
	if err != nil {
		return "", err
	}
	defer other.stop()
	return s.Uplink, d.restore(k, s)
}

// ErrPorts reports that a bridge has ports other than its uplink.
var ErrPorts = errors.New("has other ports")

func portsLeft(bridge string, ports []string) error {
	if len(ports) == 0 {
		return nil
	}
	return fmt.Errorf("bridge %s %w: %q; remove them first", bridge, ErrPorts, ports)
}
