package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// longestID leaves a container ID readable in a table, and a file name far from its limit.
const longestID = 64

// ID is the container ID of what people attach. It follows from the name alone, so that the same
// words always mean the same attachment, also when the thing itself is gone:
//
//	web in /run/netns   web
//	process 1234        pid-1234
//	LXC container web   lxc-web
//	/srv/ns/web         path-web-<12 hex>
//
// A name that is no container ID, is longer than 64 bytes, or looks like one of another kind is cut,
// and a hash of all of it stands behind: netns-<name>-<12 hex>.
func (t *Target) ID() string {
	plain := t.Name
	if t.Kind != KindNamed {
		plain = string(t.Kind) + "-" + t.Name
	}
	if t.Kind != KindPath && len(plain) <= longestID && config.ValidName(plain) && !(t.Kind == KindNamed && looksMade(plain)) {
		return plain
	}
	const digits, most = 6, longestID - 20
	sum := sha256.Sum256([]byte(string(t.Kind) + "\x00" + t.Name))
	readable := t.Name[strings.LastIndexByte(t.Name, '/')+1:]
	readable = strings.Map(func(r rune) rune {
		if r < 0x80 && config.ValidName("0"+string(r)) {
			return r
		}
		return '_'
	}, readable)
	return string(t.Kind) + "-" + readable[:min(len(readable), most)] + "-" + hex.EncodeToString(sum[:digits])
}

// looksMade reports whether a name of a namespace looks like the ID of something else.
func looksMade(name string) bool {
	return slices.ContainsFunc([]Kind{KindNamed, KindPID, KindLXC, KindPath}, func(k Kind) bool {
		return strings.HasPrefix(name, string(k)+"-")
	})
}

// Nearest is the name that a person may have meant, "" if none is near.
func Nearest(word string, names []string) string {
	best, nearest := (len(word)+1)/3, ""
	for _, name := range names {
		if d := edits(strings.ToLower(word), strings.ToLower(name)); d <= best && (nearest == "" || d < best) {
			best, nearest = d, name
		}
	}
	return nearest
}

// edits is how many letters have to be put in, left out, changed, or exchanged with the next.
func edits(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// didYouMean is the end of a sentence about a name that is not there.
func didYouMean(word string, names []string) string {
	if near := Nearest(word, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
