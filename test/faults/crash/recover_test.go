package crash

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/faults/networks"
)

// recovery is what a runtime does after a verb was killed. It leaves nothing attached.
type recovery struct {
	name  string
	scene func(testing.TB, networks.Family) *networks.Scene
	run   func(testing.TB, *subject, *networks.Scene)
}

func recoveries() []recovery {
	return []recovery{
		{"DEL with everything", networks.New, func(t testing.TB, _ *subject, scene *networks.Scene) {
			scene.Detach(t, scene.One.Call("DEL"))
		}},
		{"DEL with nothing but the name", networks.New, func(t testing.TB, _ *subject, scene *networks.Scene) {
			scene.Detach(t, scene.One.CallByName())
		}},
		{"the verb again", networks.New, again},
		{"the next container's ADD", networks.NewWithNext, nextOne},
	}
}

// codeAttached is the error code of an ADD that finds its own attachment live.
const codeAttached = 100

// again calls the verb a second time. After a kill an ADD succeeds, or fails because the attachment is live, as the specification
// demands; either way DEL removes it.
func again(t testing.TB, s *subject, scene *networks.Scene) {
	switch s.verb {
	case "ADD":
		addAgain(t, scene)
	case "DEL":
		if scene.MovesRoutes() { // an ADD needs the routes that the main plugin makes
			break
		}
		addAgain(t, scene)
	case "GC":
		scene.One.Do(t, scene.One.Call("GC")).OK(t)
		scene.Clean(t)
	}
	scene.Detach(t, scene.One.Call("DEL"))
}

func addAgain(t testing.TB, scene *networks.Scene) {
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

// nextOne attaches another container, which must succeed whatever was left behind.
func nextOne(t testing.TB, _ *subject, scene *networks.Scene) {
	scene.Next.Do(t, scene.Next.Call("ADD")).OK(t)
	scene.Next.Do(t, scene.Next.Call("CHECK")).OK(t)
	scene.Detach(t, scene.One.Call("DEL"))
	scene.Next.Do(t, scene.Next.Call("CHECK")).OK(t)
	scene.Next.Do(t, scene.Next.Call("DEL")).OK(t)
}
