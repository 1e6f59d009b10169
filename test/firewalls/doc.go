// Package firewalls shows the built binary on hosts whose own firewall drops: what ADD, CHECK, gc and doctor do and say, and that
// connections are made, or not, as they say; and what else doctor finds on a host that is broken.
// It starts the firewalls of test/hostfw and edits them only as doctor prints it.
package firewalls
