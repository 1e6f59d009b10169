package printable

import "strings"

// mostOfReason is the maximum length, in characters, of a name in a comment.
const mostOfReason = 64

// Command returns a command for a POSIX shell, with quotes where needed. If an argument
// is empty, has characters that a terminal does not show, or has a wildcard ("*", or a
// final "+" of iptables), it returns a comment instead, "# no command is offered: ...",
// which has no effect when it is pasted.
//
// Pass names that other users chose through Name.
func Command(argv ...string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		if why := whyNot(word); why != "" {
			return Comment("no command is offered: " + why)
		}
		words[i] = quoted(word)
	}
	return strings.Join(words, " ")
}

// Comment returns a comment line of a shell script.
func Comment(text string) string { return "# " + Text(text, 0) }

// notPlain marks an argument that Name rejected. No real argument contains a zero byte.
const notPlain = "\x00"

// Name returns an argument of Command for a name that another user chose. A name that
// is not a plain word (ASCII letters, digits and ._:@/-, not starting with a hyphen)
// makes Command return a comment: however it is quoted, the called program could take
// it for an option, a wildcard or its own syntax.
func Name(name string) string {
	if IsPlain(name) {
		return name
	}
	return notPlain + name
}

// Refusal returns the comment that replaces a command if one of the names is not a plain
// word; "" if all are. It is for commands with names inside of an argument.
func Refusal(names ...string) string {
	for _, name := range names {
		if !IsPlain(name) {
			return Command(Name(name))
		}
	}
	return ""
}

// IsPlain reports whether a name may be part of a command without quotes.
func IsPlain(name string) bool {
	if name == "" || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		if !isWordByte(name[i]) {
			return false
		}
	}
	return true
}

// isWordByte reports whether a byte needs no quotes in any program.
func isWordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("._:@/-", b) >= 0
}

// whyNot returns why an argument cannot be part of a command; "" if it can.
func whyNot(word string) string {
	name, refused := strings.CutPrefix(word, notPlain)
	shown := `"` + Text(name, mostOfReason) + `"`
	switch {
	case refused:
		return shown + " is no plain name"
	case word == "":
		return "an argument is empty"
	case Text(word, 0) != word:
		return shown + " has characters that cannot be shown"
	case strings.Contains(word, "*") || strings.HasSuffix(word, "+"):
		return shown + " has a wildcard"
	}
	return ""
}

// quoted returns a word for a POSIX shell, in quotes if it needs them.
func quoted(word string) string {
	isPlain := true
	for i := range len(word) {
		isPlain = isPlain && (isWordByte(word[i]) || strings.IndexByte("=,+", word[i]) >= 0 && i > 0)
	}
	if isPlain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
