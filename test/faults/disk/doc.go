// Package disk computes the directory trees that may be on a disk after a power failure: from the operations of a program and the rules of
// a file system. It opens no file and knows nothing about Patchbay.
//
//	disks, err := disk.XFS().After(before, operations)
//
// A tree after a failure has a selection of the changes that were not synchronized. Changes of names (create, rename, unlink ...) and the
// contents of files are selected apart, as file systems write them apart. Model has the rules.
//
// Limits: what was on the disk before the first operation is complete; a directory is not renamed; rename(2) is atomic; a file is written in
// pages of 4096 bytes, the first page first.
package disk
