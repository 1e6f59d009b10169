// Package firewalls tests the built binary on hosts with a firewall that drops packets: what ADD, CHECK, gc and doctor do and report, and that
// connections succeed or fail accordingly; and the other findings of doctor.
// It starts the firewalls of test/firewalls/hostfw and changes their rules only with the commands that doctor prints.
package firewalls
