package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// pluginDir is where IPAM plugins are, unless CNI_PATH says otherwise.
const pluginDir = "/opt/cni/bin"

// ParseIPs reads what --ip says: addresses with commas between them.
func ParseIPs(text string) ([]netip.Addr, error) {
	if text == "" {
		return nil, nil
	}
	var ips []netip.Addr
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		addr, err := netip.ParseAddr(word)
		if prefix, failed := netip.ParsePrefix(word); failed == nil {
			addr, err = prefix.Addr(), nil
		}
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("--ip %q: that is no IP address", word)
		}
		ips = append(ips, addr)
	}
	return ips, nil
}

// Request is what package attach is asked for a target; a DEL needs no more.
func (w Wish) Request(n *Network, t *Target, ifName string) attach.Request {
	req := attach.Request{
		ContainerID: t.ID(), Netns: t.Path, IfName: ifName, Config: n.Config,
		Owner: store.OwnerCLI, Path: cmp.Or(os.Getenv("CNI_PATH"), pluginDir), Program: config.TypeName,
	}
	if len(w.IPs) > 0 {
		var words []string
		for _, addr := range w.IPs {
			words = append(words, addr.String())
		}
		req.Args = "IP=" + strings.Join(words, ",")
	}
	return req
}

// Of are the attachments of a target that people have made, and those that somebody else has made in
// the same namespace. An interface name of "" is any.
func Of(all []Attachment, t *Target, ifName string) (ours, others []Attachment) {
	for _, a := range all {
		here := t.Kind == KindNamed && a.Netns == filepath.Join(NetnsDir, t.Name) || t.Path != "" && a.Netns == t.Path
		switch {
		case ifName != "" && a.IfName != ifName:
		case a.ContainerID == t.ID() && (a.Owner == store.OwnerCLI || a.Owner == ""), here && a.Owner == store.OwnerCLI:
			ours = append(ours, a)
		case here:
			others = append(others, a)
		}
	}
	return ours, others
}

// Names are what people may call any of the attachments.
func Names(all []Attachment) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Removal is the request to take an attachment away. Of its configuration a DEL needs little, and
// the record has that too, should the file be gone; another IPAM plugin is shown all of the file.
func (a *Attachment) Removal(dir string) attach.Request {
	conf := map[string]json.RawMessage{}
	if n, err := Find(dir, a.Network); err == nil {
		_ = json.Unmarshal(n.Config, &conf) // our own encoding
	}
	set := func(key string, value any) { conf[key], _ = json.Marshal(value) }
	set("cniVersion", "1.1.0")
	set("name", a.Network)
	set("type", config.TypeName)
	if a.stateDir != "" {
		set("stateDir", a.stateDir)
	}
	if _, told := conf["ipam"]; !told && a.record != nil && a.record.IPAMType != "" {
		set("ipam", map[string]string{"type": a.record.IPAMType})
	}
	text, _ := json.Marshal(conf)
	t := &Target{Path: a.Netns}
	req := Wish{}.Request(&Network{Config: text}, t, a.IfName)
	req.ContainerID = a.ContainerID
	return req
}

// MadeNetns reports whether the namespace of a name was made for one of the attachments, by `up`, and
// is still the same; or is gone, and has left its name behind.
func MadeNetns(name string, ours []Attachment) bool {
	path := filepath.Join(NetnsDir, name)
	for _, a := range ours {
		if a.record == nil || !a.record.NetnsMade || a.record.Netns != path {
			continue
		}
		cookie, err := link.NetnsCookie(path)
		if err == nil && cookie == a.record.NetnsCookie || errors.Is(err, link.ErrNotNetns) && isEmptyFile(path) {
			return true
		}
	}
	return false
}

// isEmptyFile: what a namespace was bound over stays if its mount is gone, as after a reboot.
func isEmptyFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// Match finds the attachments of a container that a person names: as `ls` does, by its container ID
// or the first 8 bytes and more of it, by the path or the name of its namespace, by the name of a pod
// alone, or by its host link. Errors wrap ErrNoTarget, or ErrAmbiguous where more than one container
// is called so.
func Match(all []Attachment, word string) ([]Attachment, error) {
	var found []Attachment
	for _, called := range []func(*Attachment) bool{
		func(a *Attachment) bool { return a.Name == word || a.ContainerID == word },
		func(a *Attachment) bool { return a.answersTo(word) },
	} {
		for i := range all {
			if called(&all[i]) {
				found = append(found, all[i])
			}
		}
		if len(found) > 0 {
			break
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w attachment of %s%s", ErrNoTarget, word, didYouMean(word, Names(all)))
	}
	var ids []string
	for _, a := range found {
		ids = append(ids, a.ContainerID)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 1 {
		return nil, fmt.Errorf("%s %w %s: say which", word, ErrAmbiguous, strings.Join(ids, " or "))
	}
	return found, nil
}

func (a *Attachment) answersTo(word string) bool {
	const enough = 8
	pod := a.record != nil && a.record.Pod != nil && a.record.Pod.Name == word
	return pod || a.Netns != "" && (a.Netns == word || filepath.Base(a.Netns) == word) || a.HostLink == word ||
		len(word) >= enough && strings.HasPrefix(a.ContainerID, word)
}
