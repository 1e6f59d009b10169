// Package ports shows published ports and ingressPolicy from every side: who reaches whom by real
// connections, what source address the server sees, and what stays closed. It never looks into the
// ruleset for what a connection can tell.
package ports
