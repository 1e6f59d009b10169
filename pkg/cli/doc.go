// Package cli is what the commands for people have in common: which network is meant, what a
// namespace is called, and how an attachment is told. It turns a person's words into the requests
// that package attach answers.
// It never attaches or detaches anything itself, and prints nothing.
package cli
