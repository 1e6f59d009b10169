package main

import (
	"context"
	"log/slog"
	"os/exec"
	"strings"
	"time"
)

// gcTimeout bounds one run.
const gcTimeout = 2 * time.Minute

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
