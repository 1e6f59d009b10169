package main

import "io"

func pauseCommand() command {
	return command{
		name: "pause", short: "wait until a signal",
		long: `Prints a line, does nothing until SIGTERM, SIGINT or SIGHUP, and then exits with status 0. It is the
container that stays in a pod whose init container has called install or uninstall, as a DaemonSet
requires.`,
		run: func(out io.Writer) error {
			ctx := interruptible()
			sayLine(out, "waiting for a signal")
			<-ctx.Done()
			return nil
		},
	}
}
