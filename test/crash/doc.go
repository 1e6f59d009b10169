// Package crash kills the built binary before and behind every system call that changes
// something, recovers, and looks for what was left. It never judges by the calls themselves:
// they are listed so that a new one cannot come without being killed at.
package crash
