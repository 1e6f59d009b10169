package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// bridgeNotes is a directory in the default state directory. It holds one
// symbolic link for each network that has had attachments on a bridge. The
// link's name is the bridge and a hash, its target the text of a BridgeNote.
// A symbolic link is created and read in one system call, so a reader never
// sees half a note and needs no lock.
const bridgeNotes = ".bridges"

// BridgeNote records that a network has had attachments on a bridge. Only the
// records in StateDir show whether it still has some. Prefixes are the subnets
// of the network's addresses and gateways, or none if they are not known. From
// the notes, ADD sees which other networks on its bridge could have a given
// address, and reads the records of these only.
type BridgeNote struct {
	Network  string
	StateDir string
	Prefixes []netip.Prefix
}

// text returns "NETWORK PREFIX,PREFIX STATEDIR". If the prefixes are too long for
// a symbolic link they are left out, which means that they are not known.
func (n BridgeNote) text() string {
	const most = 2000 // bytes of prefixes; the target of a link has at most 4095 (PATH_MAX)
	texts := make([]string, len(n.Prefixes))
	for i, prefix := range n.Prefixes {
		texts[i] = prefix.String()
	}
	prefixes := strings.Join(texts, ",")
	if len(prefixes) > most {
		prefixes = ""
	}
	return n.Network + " " + prefixes + " " + n.StateDir
}

// parseBridgeNote parses what text returned. The state directory comes last
// because only it may contain spaces.
func parseBridgeNote(text string) (n BridgeNote, ok bool) {
	parts := strings.SplitN(text, " ", 3)
	if len(parts) != 3 {
		return n, false
	}
	n.Network, n.StateDir = parts[0], parts[2]
	for part := range strings.SplitSeq(parts[1], ",") {
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			n.Prefixes = nil
			break
		}
		n.Prefixes = append(n.Prefixes, prefix)
	}
	return n, true
}

// Overlaps reports whether one of the prefixes overlaps a prefix of the network.
// A network whose prefixes are not known overlaps all.
func (n BridgeNote) Overlaps(prefixes []netip.Prefix) bool {
	if len(n.Prefixes) == 0 {
		return true
	}
	for _, own := range n.Prefixes {
		for _, other := range prefixes {
			if own.Overlaps(other) {
				return true
			}
		}
	}
	return false
}

// name returns the name of the note's link. It has no "@" before ".json", so no
// verb takes it for a record, whatever the bridge is called.
func (n BridgeNote) name(bridge string) string {
	sum := sha256.Sum256([]byte(n.text()))
	return bridge + "." + hex.EncodeToString(sum[:6])
}

// Noted reports whether NoteBridge has been called with this note. known is the
// default state directory.
func (n BridgeNote) Noted(known, bridge string) bool {
	_, err := os.Readlink(filepath.Join(known, bridgeNotes, n.name(bridge)))
	return err == nil
}

// NoteBridge records that a network has attachments on a bridge. known is the
// default state directory. Any number of processes may call it at the same time:
// equal notes have equal names, and EEXIST is success.
func NoteBridge(known, bridge string, n BridgeNote) error {
	path := filepath.Join(known, bridgeNotes, n.name(bridge))
	err := makeDirs(known, filepath.Dir(path), 0o700)
	if err == nil {
		err = os.Symlink(n.text(), path)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("record network %s of bridge %s: %w", n.Network, bridge, err)
	}
	return nil
}

// BridgeNotes returns the notes of a bridge, sorted by name, without the note
// that is passed as but; the zero BridgeNote excludes none. known is the default
// state directory.
func BridgeNotes(known, bridge string, but BridgeNote) ([]BridgeNote, error) {
	entries, err := os.ReadDir(filepath.Join(known, bridgeNotes))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read networks of bridge %s: %w", bridge, err)
	}
	var notes []BridgeNote
	left := but.name(bridge)
	for _, e := range entries {
		hash, ofBridge := strings.CutPrefix(e.Name(), bridge+".")
		if !ofBridge || strings.ContainsRune(hash, '.') || e.Name() == left { // a second '.': another bridge, "br0.5" for "br0"
			continue
		}
		text, err := os.Readlink(filepath.Join(known, bridgeNotes, e.Name()))
		if n, ok := parseBridgeNote(text); err == nil && ok {
			notes = append(notes, n)
		}
	}
	return notes, nil
}
