// Package fights tests Patchbay beside the programs that configure networks of a node: what each of them breaks, whether doctor reports it,
// and that a snippet of conf/ prevents it or patchbay-reload.service restores it. Machines of package vm run the real programs under systemd.
//
// A test is a machine with a list of rows; row_test.go runs one, site_test.go has the machine, poll_test.go the measurement. The table of
// docs/services.md has a line of each row, which the test compares, and with PATCHBAY_UPDATE=1 writes.
package fights
