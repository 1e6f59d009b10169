package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// gcTimeout bounds one run.
const gcTimeout = 2 * time.Minute

// mayCollect fails where `patchbay gc` must not run. It deletes attachments whose network namespace does not exist, and in a container it
// sees none of those of the host. There either /proc shows the processes of the container alone, or the root of process 1 is another one.
func mayCollect(o options) error {
	if o.gcEvery == 0 {
		return nil
	}
	const initial = "pid:[4026531836]" // PROC_PID_INIT_INO, linux/proc_ns.h
	var own, first unix.Stat_t
	name, err := os.Readlink("/proc/self/ns/pid")
	if err == nil && name == initial {
		err = errors.Join(unix.Stat("/", &own), unix.Stat("/proc/1/root/", &first))
	}
	if err != nil || name != initial || own.Dev != first.Dev || own.Ino != first.Ino {
		return errors.New("--gc is for a service of the host: in a container the namespaces of the host's pods are not seen, " +
			"and their attachments would be deleted; use conf/systemd/patchbay-gc.timer on the host instead")
	}
	return nil
}

// collect runs `patchbay gc` on a timer until the context ends: a pod whose sandbox failed before its DEL leaves an attachment, and its
// address, behind.
func collect(ctx context.Context, o options, log *slog.Logger) {
	timer := time.NewTicker(o.gcEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			collectOnce(ctx, o, log)
		}
	}
}

func collectOnce(ctx context.Context, o options, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, gcTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, o.patchbay, "gc").CombinedOutput()
	text := strings.TrimSpace(string(out))
	switch {
	case err != nil && ctx.Err() == nil:
		log.Warn("patchbay gc", "error", err, "output", text)
	case text != "" && text != "nothing to clean up":
		log.Info("patchbay gc", "output", text)
	}
}
