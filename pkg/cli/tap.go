package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Tap is the tap that a command asks for.
type Tap struct {
	Name       string // "" for the default
	Owner      string // as ParseOwner takes it
	MultiQueue bool
}

// Files of users and groups (passwd(5), group(5)).
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// AddTap adds the key tap to the configuration of a network.
func (n *Network) AddTap(t Tap) error {
	tap := map[string]any{"multiQueue": t.MultiQueue}
	if t.Name != "" {
		tap["name"] = t.Name
	}
	owner, group, err := ParseOwner(t.Owner)
	if err != nil {
		return err
	}
	if owner != nil {
		tap["owner"] = *owner
	}
	if group != nil {
		tap["group"] = *group
	}
	var conf map[string]any
	decoder := json.NewDecoder(bytes.NewReader(n.Config))
	decoder.UseNumber()
	if err := decoder.Decode(&conf); err != nil {
		return fmt.Errorf("network %s: %w", n.Name, err)
	}
	conf["tap"] = tap
	n.Config, err = json.Marshal(conf)
	return err
}

// ParseOwner parses the value of --owner: USER, USER:GROUP or :GROUP, each a name or a number. A name must be in /etc/passwd or
// /etc/group; a number need not, because virtual machine monitors run under numbers that no file has. "" is neither.
func ParseOwner(text string) (owner, group *uint32, err error) {
	user, rest, both := strings.Cut(text, ":")
	if both && rest == "" {
		return nil, nil, fmt.Errorf("--owner %s: no group behind the colon", text)
	}
	if user != "" {
		if owner, err = idOf("user", user, passwdFile); err != nil {
			return nil, nil, err
		}
	}
	if both {
		group, err = idOf("group", rest, groupFile)
	}
	return owner, group, err
}

// idOf returns the ID of a user or a group. The files begin their lines with the name, and have the ID in the third field.
func idOf(kind, word, file string) (*uint32, error) {
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		if n == math.MaxUint32 {
			return nil, fmt.Errorf("--owner: %s %d means none in the kernel", kind, n)
		}
		id := uint32(n)
		return &id, nil
	}
	text, err := safefile.Read(file, safefile.Rules{FollowLinks: true, AnyOwner: true})
	if err != nil {
		return nil, fmt.Errorf("--owner: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || fields[0] != word {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(fields[2]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--owner: %s has no number for %s", file, word)
		}
		id := uint32(n)
		return &id, nil
	}
	return nil, errors.New("--owner: no " + kind + " " + strconv.Quote(word) + " in " + file + ": pass the number if another service knows it")
}
