// Package ports tests published ports and ingressPolicy with real connections: which clients reach which servers, what source address the server
// sees, and what stays closed. It does not inspect the ruleset for what a connection shows.
package ports
