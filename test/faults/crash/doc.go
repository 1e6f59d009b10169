// Package crash kills the built binary before and after every system call that changes something, recovers, and checks what is left
// behind. The calls themselves are not asserted: they are listed in calls.txt so that no call is added without a kill point.
package crash
