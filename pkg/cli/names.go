package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// maxID is the greatest length in bytes of a container ID, so that it fits a table and a file name.
const maxID = 64

// ID returns the container ID for the target. It is derived from the name alone, so that the same argument
// names the same attachment after the namespace was deleted:
//
//	web in /run/netns   web
//	process 1234        pid-1234
//	LXC container web   lxc-web
//	/srv/ns/web         path-web-<12 hex>
//
// A name that is not valid as a container ID (CNI SPEC section 2), is longer than 64 bytes, or has the prefix
// of another kind is cut, and a hash of the whole name is appended: netns-<name>-<12 hex>.
func (t *Target) ID() string {
	plain := t.Name
	if t.Kind != KindNamed {
		plain = string(t.Kind) + "-" + t.Name
	}
	if t.Kind != KindPath && len(plain) <= maxID && config.ValidName(plain) && !(t.Kind == KindNamed && hasKindPrefix(plain)) {
		return plain
	}
	const digits, maxReadable = 6, maxID - 20
	sum := sha256.Sum256([]byte(string(t.Kind) + "\x00" + t.Name))
	readable := t.Name[strings.LastIndexByte(t.Name, '/')+1:]
	readable = strings.Map(func(r rune) rune {
		if r < 0x80 && config.ValidName("0"+string(r)) {
			return r
		}
		return '_'
	}, readable)
	return string(t.Kind) + "-" + readable[:min(len(readable), maxReadable)] + "-" + hex.EncodeToString(sum[:digits])
}

// hasKindPrefix reports whether the name of a namespace begins like the ID of another kind.
func hasKindPrefix(name string) bool {
	return slices.ContainsFunc([]Kind{KindNamed, KindPID, KindLXC, KindPath}, func(k Kind) bool {
		return strings.HasPrefix(name, string(k)+"-")
	})
}

// Nearest returns the name with the smallest edit distance to a word, "" if none is within a third of its length.
func Nearest(word string, names []string) string {
	best, nearest := (len(word)+1)/3, ""
	for _, name := range names {
		if d := edits(strings.ToLower(word), strings.ToLower(name)); d <= best && (nearest == "" || d < best) {
			best, nearest = d, name
		}
	}
	return nearest
}

// edits returns the edit distance of two words: insertions, deletions, substitutions and transpositions.
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

// DidYouMean returns the suggestion at the end of an error about a name that does not exist, "" if no name is near.
// It never suggests the name itself, which something of another kind may have.
func DidYouMean(word string, names []string) string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == word })
	if near := Nearest(word, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
