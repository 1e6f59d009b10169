// Guest is the program of test/boot/packages in the machine: what would take many commands of a shell there, whose CPU is emulated.
//
//	guest answer ADDRESS            answer each datagram, and each line of a TCP connection, with itself
//	guest ask FILE ADDRESS          ask such a server until SIGTERM, and keep the counts in FILE
//	guest check LIST                call CHECK for each attachment of a network, whose list is the file LIST
//	guest files PATH...             describe all files of the root file system, and of /run, but those below PATH
//	guest pod run|ready|remove ...  call the CRI of containerd
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "answer":
		return answer(args[1])
	case len(args) == 3 && args[0] == "ask":
		return ask(args[1], args[2])
	case len(args) == 2 && args[0] == "check":
		return checkAll(args[1])
	case len(args) > 0 && args[0] == "files":
		return listFiles(args[1:])
	case len(args) > 1 && args[0] == "pod":
		return callCRI(args[1], args[2:])
	}
	return errors.New("usage: guest answer|ask|check|files|pod with arguments")
}
