package load

import (
	"testing"
	"time"
)

// at returns the call with its start and end, in milliseconds.
func (d done) at(from, to int) done {
	start := time.Unix(0, 0)
	d.from, d.to = start.Add(time.Duration(from)*time.Millisecond), start.Add(time.Duration(to)*time.Millisecond)
	return d
}

func call(verb string, k key, code uint, addresses ...string) done {
	return done{op: op{verb: verb, key: k}, code: code, addresses: addresses}
}

// TestModel: which answers to one to three calls of one container the model accepts.
//
// Claim: Concurrent ADDs, CHECKs and DELs give answers and a final state that some sequential order explains
func TestModel(t *testing.T) {
	web, other := key{"net", "web", "eth0"}, key{"second", "web", "eth0"}
	rival := key{"third", "web", "eth0"}
	const address, another = "10.1.0.2/24", "10.1.0.3/24"
	r := rules{
		sticky:          func(network string) bool { return network == "second" },
		mayBeFull:       func(k key) bool { return k == other },
		portMayConflict: func(k key) bool { return k == other },
		refused:         func(d done) bool { return d.key == rival },
		alone:           func(done) bool { return true },
	}
	stale := newModel().with(web, entry{addresses: []string{address}, stale: true}, false)
	kept := newModel()
	kept.memory[other] = []string{address}
	tests := []struct {
		name  string
		begin model
		calls []done
		want  bool
	}{
		{"ADD", newModel(), []done{call("ADD", web, 0, address).at(0, 1)}, true},
		{"ADD twice, the second fails as already attached", newModel(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 100).at(1, 6)}, true},
		{"ADD twice, both succeed", newModel(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 0, another).at(1, 6)}, false},
		{"overlapping DEL may have run between two ADDs", newModel(), []done{call("ADD", web, 0, address).at(0, 5), call("ADD", web, 0, another).at(1, 6), call("DEL", web, 0).at(2, 3)}, true},
		{"DEL that ended before the first ADD", newModel(), []done{call("DEL", web, 0).at(0, 1), call("ADD", web, 0, address).at(2, 5), call("ADD", web, 0, another).at(3, 6)}, false},
		{"DEL fails", newModel(), []done{call("DEL", web, 999).at(0, 1)}, false},
		{"pool full although it has free addresses", newModel(), []done{call("ADD", web, 11).at(0, 1)}, false},
		{"pool may be full", newModel(), []done{call("ADD", other, 11).at(0, 1)}, true},
		{"port conflict without another owner", newModel(), []done{call("ADD", web, 102).at(0, 1)}, false},
		{"port conflict with another owner", newModel(), []done{call("ADD", other, 102).at(0, 1)}, true},
		{"interface name in use by an ADD that is undone", newModel(), []done{call("ADD", rival, 4).at(0, 1)}, true},
		{"interface name in use by no attachment", newModel(), []done{call("ADD", web, 4).at(0, 1)}, false},
		{"interface name in use", newModel(), []done{call("ADD", web, 0, address).at(0, 1), call("ADD", other, 4).at(2, 3)}, true},
		{"interface name in use, ADD succeeds", newModel(), []done{call("ADD", web, 0, address).at(0, 1), call("ADD", other, 0, address).at(2, 3)}, false},
		{"address of a stale attachment is given again", stale, []done{call("ADD", web, 0, address).at(0, 1)}, true},
		{"address of a stale attachment is not given again", stale, []done{call("ADD", web, 0, another).at(0, 1)}, false},
		{"stale attachment stays when the interface name is in use", stale.with(rival, entry{}, false), []done{call("ADD", web, 4).at(0, 1)}, true},
		{"sticky address is not given again", kept, []done{call("ADD", other, 0, another).at(0, 1)}, false},
		{"CHECK without an attachment succeeds", newModel(), []done{{op: op{verb: "CHECK", key: web}, prev: []byte("{}")}}, false},
		{"CHECK without an attachment", newModel(), []done{{op: op{verb: "CHECK", key: web}, prev: []byte("{}"), code: 106}}, true},
		{"CHECK of a stale attachment succeeds", stale, []done{{op: op{verb: "CHECK", key: web}, prev: []byte(`{"ips": [{"address": "10.1.0.2/24"}]}`)}}, false},
	}
	for _, tt := range tests {
		_, got := r.explain(tt.begin, tt.calls, func(b model) (model, bool) { return b, true })
		if got != tt.want {
			t.Errorf("%s: accepted %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestModelOfStaleAttachmentWithPortConflict: an ADD that fails may have removed the stale attachment before, or not.
func TestModelOfStaleAttachmentWithPortConflict(t *testing.T) {
	web := key{"net", "web", "eth0"}
	r := rules{refused: func(done) bool { return false }, portMayConflict: func(key) bool { return true }}
	before := newModel().with(web, entry{stale: true}, false)
	var left []int
	for _, after := range r.step(before, call("ADD", web, 102)) {
		left = append(left, len(after.here))
	}
	if len(left) != 2 || left[0] != 1 || left[1] != 0 {
		t.Errorf("attachments afterwards: %v, want 1 or 0", left)
	}
}
