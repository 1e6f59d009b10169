package bandwidth

import (
	"crypto/sha512"
	"encoding/hex"
)

// ReferenceDevice returns the name that the reference plugin bandwidth gives the ifb device of a container. It has no alias, and is the
// same for all interfaces of the container in the network.
func ReferenceDevice(network, containerID string) string {
	sum := sha512.Sum512([]byte(network + containerID))
	return ("bwp" + hex.EncodeToString(sum[:]))[:15]
}
