// Package networks provides the kinds of networks ("families") for the crash and fault tests, each with the host and containers that it
// needs, and the calls that a runtime makes. A new kind of attachment is a row in All. After a call it checks the leak oracle of nettest
// and what that does not cover, nothing else.
package networks
