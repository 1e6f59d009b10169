// Package power cuts the power of a host: it records what a verb writes to the disk, has package disk compute every disk that the power failure
// can leave, and boots a host from each of them.
package power
