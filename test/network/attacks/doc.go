// Package attacks sends what a container, or a machine of the LAN, must not be able to send, and looks whether it had an effect.
//
// A frame is made byte by byte and sent by a packet socket in the attacker's namespace. An attack has an effect that can be looked
// up: who has an address in a neighbour table or a MAC in the bridge's, or who heard the frame. Each attack is made on networks
// that must refuse it, and on one where it must succeed, which shows that the test can fail.
package attacks
