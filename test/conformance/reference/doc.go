// Package reference runs the conformance kit against the reference plugins, and keeps docs/conformance.md: the results of the reference
// plugin bridge beside those of the built binary.
package reference
