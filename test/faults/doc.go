// Package faults has the kernel refuse, lose and interrupt what the built binary asks of it, once
// in each run, and looks for what was left. It never kills: package crash does.
package faults
