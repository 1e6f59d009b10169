// Package names tests the program under the names of the reference plugins: each name with each verb, whole lists of them, and lists in
// which some plugins are the reference's.
package names
