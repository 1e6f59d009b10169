// Package agentstatus is what patchbay-agent writes about its node for other programs: the state that its last pass found, and how it
// reaches each other node. The agent encodes the two files with it, and the commands of patchbay read them.
// It must not change anything of the host.
//
//	s, err := agentstatus.Read(agentstatus.Path)
//	if s != nil && s.Activity(agentstatus.Path, time.Now()) == agentstatus.Stopped { ... }
//
// Two files, because the state changes with each pass, and with 5 000 nodes the peers are a megabyte that seldom changes. Each has the
// version of its form, Format; a reader refuses every other version. Fields may be added within a version, but not renamed or removed.
//
// Whether the agent runs is not in a file, which stays when a process is killed: as long as it runs, the agent has a lock (flock(2)) on
// the directory of the files. It has it in its container too, where its process ID would mean nothing to the host.
//
// status.go has the two forms, read.go reads them, lock.go has the lock.
package agentstatus
