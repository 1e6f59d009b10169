// Package security owns the black box tests of what the plugin may touch and what it needs to:
// modes and owners of state, links laid out for it, the paths it writes, the capabilities it
// uses, and a user namespace instead of root.
// It never tests what the verbs are for; package verbs does.
package security
