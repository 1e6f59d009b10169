// Package hostsfile edits a marked block in a hosts(5) file, and keeps every other line byte for byte.
//
//	text := hostsfile.Parse(content)      // Absent, Intact, or Edited by hand
//	content = text.With("10.0.0.2\tweb\n") // a block of one line, at the end if there was none
//	err := hostsfile.Writer{Journal: path}.Write(changes)
//
// The head of the block has a hash of its lines, so that an edit by hand is noticed. Files are rewritten in place,
// because `ip netns exec` and container runtimes mount them over /etc/hosts: a mount keeps the old file after a rename.
// A journal has the old and the new contents while files are written, so that a file that a killed process left
// half written is completed, and does not look like an edit.
//
// It does not know which names a file needs, and never follows a symbolic link.
package hostsfile
