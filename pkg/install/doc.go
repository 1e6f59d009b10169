// Package install installs the running program in a directory of CNI plugins, under its
// own name and, as a drop-in, under the names of the reference plugins, and restores the
// directory.
//
// It must not run a program, touch interfaces or rules, overwrite or delete a file that
// is not kept aside and that it did not install, or write through a link.
//
//	done, err := install.Install(install.Options{BinDir: "/opt/cni/bin", DropIn: true, Version: "0.2.0"})
//	done, err = install.Uninstall(install.Options{BinDir: "/opt/cni/bin"})
//
// Everything that it keeps is in BinDir/.patchbay, mode 0700:
//
//	manifest.json     what is installed and kept aside, with SHA-256
//	originals/NAME    the file that was BinDir/NAME before
//	new-NAME          a file that is not in place yet; only while Install runs
//
// Constraints:
//
//   - Each name has a file of its own. Programs that install plugins with cp(1) write
//     into an existing file: with hard or symbolic links one of them would replace every
//     name. Callers that resolve a link would call the program by another name, which
//     decides what it does. The copies share blocks where the file system can do that.
//   - A name always leads to a whole program, the old or the new one: files are written
//     in BinDir/.patchbay, synchronized and renamed. So a running program is no obstacle
//     (ETXTBSY), a runtime that lists BinDir finds no temporary file, and a full file
//     system is noticed before the first name changes.
//   - An original is linked aside before its name changes, and renamed back: it stays
//     the same inode, with content, mode, owner, times and extended attributes.
//   - The manifest is written before the first change, with the hashes from before and
//     after. Both count as installed, so that Install or Uninstall after a kill at any
//     point continues.
//   - BinDir, and all directories above it, must be writable by root (or the effective
//     user) alone. Files are opened relative to its descriptor, with O_NOFOLLOW.
//
// Files, in reading order: install.go, uninstall.go, check.go, programs.go, conf.go, session.go,
// change.go, manifest.go, dir.go, options.go.
package install
