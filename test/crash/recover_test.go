package crash

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/family"
)

// recovery is what a runtime does after a verb has died. It leaves nothing attached.
type recovery struct {
	name  string
	scene func(testing.TB, family.Family) *family.Scene
	run   func(testing.TB, *subject, *family.Scene)
}

func recoveries() []recovery {
	return []recovery{
		{"DEL with everything", family.New, func(t testing.TB, _ *subject, scene *family.Scene) {
			scene.Detach(t, scene.One.Call("DEL"))
		}},
		{"DEL with nothing but the name", family.New, func(t testing.TB, _ *subject, scene *family.Scene) {
			scene.Detach(t, scene.One.CallByName())
		}},
		{"the verb again", family.New, again},
		{"the next container's ADD", family.NewWithNext, nextOne},
	}
}

// codeAttached is the error of an ADD that finds its own attachment alive.
const codeAttached = 100

// again calls the verb a second time. After a death an ADD passes, or finds an attachment that is
// alive, which is the specification's error; either way DEL ends it.
func again(t testing.TB, s *subject, scene *family.Scene) {
	switch s.verb {
	case "ADD":
		addAgain(t, scene)
	case "DEL":
		addAgain(t, scene)
	case "GC":
		scene.One.Do(t, scene.One.Call("GC")).OK(t)
		scene.Clean(t)
	}
	scene.Detach(t, scene.One.Call("DEL"))
}

func addAgain(t testing.TB, scene *family.Scene) {
	answer := scene.One.Do(t, scene.One.Call("ADD"))
	if answer.Exit == 0 {
		scene.Reached(t)
		scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
		return
	}
	if e := answer.Error(t); e.Code != codeAttached {
		t.Errorf("ADD again: %v", e)
	}
}

// nextOne is another container's ADD, which nothing that was left may disturb.
func nextOne(t testing.TB, _ *subject, scene *family.Scene) {
	scene.Next.Do(t, scene.Next.Call("ADD")).OK(t)
	scene.Next.Do(t, scene.Next.Call("CHECK")).OK(t)
	scene.Detach(t, scene.One.Call("DEL"))
	scene.Next.Do(t, scene.Next.Call("CHECK")).OK(t)
	scene.Next.Do(t, scene.Next.Call("DEL")).OK(t)
}
