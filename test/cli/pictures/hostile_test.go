package pictures

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// hostile is the syntax of every format that a name could try.
const hostile = "x\"];y'\\\\N \\l<script>alert(1)</script><br/>&amp;&#60;#quot;#35; style:#1; %%{init: {}}%% `a` ]]> --> {{.}} |e|\n  end\r\x1b]0;t\a\u202e\u200bé字\xff "

// makeHostile replaces every text of a view by a hostile one of its own. Texts that were the same are the same afterwards.
func makeHostile(v *topo.View) {
	seen := map[string]string{}
	var walk func(reflect.Value)
	walk = func(x reflect.Value) {
		switch x.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !x.IsNil() {
				walk(x.Elem())
			}
		case reflect.Slice:
			for i := range x.Len() {
				walk(x.Index(i))
			}
		case reflect.Struct:
			for i := range x.NumField() {
				if x.Field(i).CanSet() && x.Type().Field(i).Name != "Role" {
					walk(x.Field(i))
				}
			}
		case reflect.String:
			old := x.String()
			if seen[old] == "" {
				seen[old] = fmt.Sprint(hostile, len(seen))
			}
			if old != "" {
				x.SetString(seen[old])
			}
		}
	}
	walk(reflect.ValueOf(v).Elem())
}

// TestMakeHostile: the views of the other tests have hostile names everywhere, and are still connected.
func TestMakeHostile(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	gateway(s)
	v := s.view()
	links := v.Attachments[0].HostLink.Name
	makeHostile(v)
	a := v.Attachments[0]
	if a.HostLink.Name == links || a.Bridge != v.Bridges[0].Name || a.Netns != v.Namespaces[0].Path && a.Netns != v.Namespaces[1].Path {
		t.Errorf("attachment %+v, bridge %q", a, v.Bridges[0].Name)
	}
}
