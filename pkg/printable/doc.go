// Package printable makes text and shell commands that are safe to print from what
// other users chose: names of pods, interfaces, chains and files, and errors of other
// programs. It does not print anything itself.
//
//	printable.Text(alias, 64)                                    // one line, no control characters, at most 64 characters
//	printable.Command("ip", "link", "del", printable.Name(link)) // a command to paste, or a comment
package printable
