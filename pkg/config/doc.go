// Package config owns the way from bytes and environment to a validated Config, and the
// lenient reading that DEL and GC live on.
// It never opens a file, touches the kernel or decides what to do: it only says what was asked.
//
//	cfg, err := config.Parse(stdin, os.Getenv("CNI_ARGS"))  // ADD, CHECK, STATUS: all or nothing
//	id := config.ParseLenient(stdin)                        // DEL, GC: whatever can still be read
//
// Keys, meanings and defaults are those of the reference plugins bridge and host-local. An
// unknown key is ignored (CNI SPEC.md section 1); a known key of the wrong type is an error
// that names key and value; a key whose work this version does not do yet is refused unless
// it has its zero value, so that nobody believes in a masquerade that is not there.
package config
