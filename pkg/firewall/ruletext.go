package firewall

import (
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// text returns those parts of a rule that help a person to find it: interfaces,
// states, ports, names of matches and sets, comment and verdict. "..." stands for the
// rest.
func (r rule) text() string {
	var s ruleText
	for _, e := range r.expressions {
		s.add(e)
	}
	if r.comment != "" {
		s.say("comment " + strconv.Quote(r.comment))
	}
	return strings.Join(s.words, " ")
}

// ruleText is the text of a rule so far, and what the next comparison compares.
type ruleText struct {
	words  []string
	loaded string // "iifname", "ct state"; "" is not printed
	mask   []byte
}

func (s *ruleText) say(word string) {
	if word != "..." || len(s.words) == 0 || s.words[len(s.words)-1] != word {
		s.words = append(s.words, word)
	}
}

func (s *ruleText) load(what string) { s.loaded, s.mask = what, nil }

func (s *ruleText) add(e expression) {
	switch e.name {
	case "meta":
		s.load(map[uint32]string{unix.NFT_META_IIFNAME: "iifname", unix.NFT_META_OIFNAME: "oifname", unix.NFT_META_L4PROTO: "l4proto", unix.NFT_META_NFPROTO: "nfproto", unix.NFT_META_MARK: "mark"}[e.with.number(unix.NFTA_META_KEY)])
	case "ct":
		s.load(map[uint32]string{unix.NFT_CT_STATE: "ct state", unix.NFT_CT_STATUS: "ct status"}[e.with.number(unix.NFTA_CT_KEY)])
	case "payload":
		s.load("")
		if e.with.number(unix.NFTA_PAYLOAD_BASE) == unix.NFT_PAYLOAD_TRANSPORT_HEADER && e.with.number(unix.NFTA_PAYLOAD_OFFSET) == 2 && e.with.number(unix.NFTA_PAYLOAD_LEN) == 2 {
			s.load("dport")
		}
	case "bitwise":
		s.mask = e.with.nested(unix.NFTA_BITWISE_MASK).values[unix.NFTA_DATA_VALUE]
	case "cmp":
		s.compare(e.with)
	case "lookup":
		s.say(strings.TrimSpace(s.loaded + " @" + e.with.text(unix.NFTA_LOOKUP_SET)))
	case "match":
		s.match(e.with)
	case "target":
		s.say(strings.ToLower(e.with.text(unix.NFTA_TARGET_NAME)))
	case "immediate":
		s.verdict(verdictOf(e.with.nested(unix.NFTA_IMMEDIATE_DATA)))
	case "reject", "queue", "limit":
		s.say(e.name)
	case "counter", "log":
	default:
		s.load("")
		s.say("...")
	}
}

func (s *ruleText) match(with attributes) {
	name := with.text(unix.NFTA_MATCH_NAME)
	if name == "comment" {
		text, _, _ := strings.Cut(string(with.values[unix.NFTA_MATCH_INFO]), "\x00")
		s.say("/* " + text + " */")
		return
	}
	s.say("-m " + name)
}

func (s *ruleText) verdict(v verdict) {
	if word := map[kind]string{accept: "accept", drop: "drop", queue: "queue", returns: "return", jump: "jump " + v.target, gotoChain: "goto " + v.target}[v.kind]; word != "" {
		s.say(word)
	}
}

// compare adds what is compared; with a mask, which bits.
func (s *ruleText) compare(with attributes) {
	data := with.nested(unix.NFTA_CMP_DATA).values[unix.NFTA_DATA_VALUE]
	not := ""
	if with.number(unix.NFTA_CMP_OP) != unix.NFT_CMP_EQ {
		not = "!= "
	}
	switch {
	case s.loaded == "nfproto":
	case s.loaded == "iifname" || s.loaded == "oifname":
		s.say(s.loaded + " " + not + strconv.Quote(linkName(data)))
	case (s.loaded == "ct state" || s.loaded == "ct status") && len(s.mask) == 4:
		s.say(s.loaded + " " + bitNames(s.loaded, binary.NativeEndian.Uint32(s.mask)))
	case s.loaded == "l4proto" && len(data) == 1:
		s.say(s.loaded + " " + not + strconv.Itoa(int(data[0])))
	case s.loaded == "dport" && len(data) == 2 && s.mask == nil:
		s.say(s.loaded + " " + not + strconv.Itoa(int(binary.BigEndian.Uint16(data))))
	default:
		s.say("...")
	}
}

// linkName returns the interface name that is compared: without NUL it is a prefix.
func linkName(data []byte) string {
	text, _, hasEnd := strings.Cut(string(data), "\x00")
	if !hasEnd && len(data) < unix.IFNAMSIZ {
		return text + "*"
	}
	return text
}

func bitNames(of string, mask uint32) string {
	names := map[string][]string{
		"ct state":  {"invalid", "established", "related", "new"},
		"ct status": {"expected", "seen-reply", "assured", "confirmed", "snat", "dnat"},
	}[of]
	var set []string
	for i, name := range names {
		if mask&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}
