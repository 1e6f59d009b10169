// Package config decodes and checks network configurations and CNI_ARGS, strictly for
// ADD, CHECK, STATUS and GC, leniently for DEL.
//
// It does not open files, ask the kernel or decide what a verb does.
//
//	cfg, err := config.Parse(stdin, os.Getenv("CNI_ARGS")) // all or nothing
//	id := config.ParseLenient(stdin)                       // what can be decoded
//
// Constraints:
//
//   - Keys, meanings and defaults are those of the reference plugins bridge, host-local,
//     portmap and firewall.
//   - An unknown key is ignored (CNI SPEC section 1).
//   - A known key of a wrong type is an error that names key and value.
//   - A key of a reference plugin that this version does not support is an error unless
//     it has its zero value: nobody should rely on a setting that has no effect.
package config
