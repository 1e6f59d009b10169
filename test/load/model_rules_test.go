package load

import (
	"testing"
	"time"
)

// at makes a call that took from one millisecond to another.
func (d done) at(from, to int) done {
	start := time.Unix(0, 0)
	d.from, d.to = start.Add(time.Duration(from)*time.Millisecond), start.Add(time.Duration(to)*time.Millisecond)
	return d
}

func call(verb string, k key, code uint, addresses ...string) done {
	return done{op: op{verb: verb, key: k}, code: code, addresses: addresses}
}

// TestModel: what the model accepts of two or three calls of one container, and what not.
func TestModel(t *testing.T) {
	web, other := key{"net", "web", "eth0"}, key{"second", "web", "eth0"}
	rival := key{"third", "web", "eth0"}
	const address, another = "10.1.0.2/24", "10.1.0.3/24"
	r := rules{
		sticky:    func(network string) bool { return network == "second" },
		mayBeFull: func(k key) bool { return k == other },
		mayBeHeld: func(k key) bool { return k == other },
		refused:   func(d done) bool { return d.key == rival },
		alone:     func(done) bool { return true },
	}
	dead := newBook().with(web, entry{addresses: []string{address}, dead: true}, false)
	kept := newBook()
	kept.memory[other] = []string{address}
	tests := []struct {
		name  string
		begin book
		calls []done
		want  bool
	}{
		{"ADD", newBook(), []done{call("ADD", web, 0, address).at(0, 1)}, true},
		{"ADD twice, the second is told", newBook(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 100).at(1, 6)}, true},
		{"ADD twice, both pass", newBook(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 0, another).at(1, 6)}, false},
		{"a DEL between may have come between", newBook(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 0, another).at(1, 6), call("DEL", web, 0).at(2, 3)}, true},
		{"a DEL before did not", newBook(), []done{call("DEL", web, 0).at(0, 1), call("ADD", web, 0, address).at(2, 5), call("ADD", web, 0, another).at(3, 6)}, false},
		{"DEL fails", newBook(), []done{call("DEL", web, 999).at(0, 1)}, false},
		{"no address where there must be some", newBook(), []done{call("ADD", web, 11).at(0, 1)}, false},
		{"no address where there may be none", newBook(), []done{call("ADD", other, 11).at(0, 1)}, true},
		{"a port of nobody is held", newBook(), []done{call("ADD", web, 102).at(0, 1)}, false},
		{"a port of another is held", newBook(), []done{call("ADD", other, 102).at(0, 1)}, true},
		{"one that is refused has the name for a moment", newBook(), []done{call("ADD", rival, 4).at(0, 1)}, true},
		{"nobody has the name", newBook(), []done{call("ADD", web, 4).at(0, 1)}, false},
		{"the name is taken", newBook(), []done{call("ADD", web, 0, address).at(0, 1), call("ADD", other, 4).at(2, 3)}, true},
		{"the name is taken and nobody minds", newBook(), []done{call("ADD", web, 0, address).at(0, 1), call("ADD", other, 0, address).at(2, 3)}, false},
		{"a dead one's address comes back", dead, []done{call("ADD", web, 0, address).at(0, 1)}, true},
		{"a dead one's address does not come back", dead, []done{call("ADD", web, 0, another).at(0, 1)}, false},
		{"a dead one stays when the name is taken", dead.with(rival, entry{}, false), []done{call("ADD", web, 4).at(0, 1)}, true},
		{"a sticky address does not come back", kept, []done{call("ADD", other, 0, another).at(0, 1)}, false},
		{"CHECK of what is not there passes", newBook(), []done{{op: op{verb: "CHECK", key: web}, prev: []byte("{}")}}, false},
		{"CHECK of what is not there", newBook(), []done{{op: op{verb: "CHECK", key: web}, prev: []byte("{}"), code: 106}}, true},
		{"CHECK of a dead one passes", dead, []done{{op: op{verb: "CHECK", key: web}, prev: []byte(`{"ips": [{"address": "10.1.0.2/24"}]}`)}}, false},
	}
	for _, tt := range tests {
		_, got := r.explain(tt.begin, tt.calls, func(b book) (book, bool) { return b, true })
		if got != tt.want {
			t.Errorf("%s: accepted %v, want %v", tt.name, got, tt.want)
		}
	}
}
