package diagram

import (
	"regexp"
	"strings"
	"testing"
)

// TestHTML: a page has a section of details for each box, and only one script: its own. The policy has the hashes of style and script,
// without which a browser would apply neither; TestPageInBrowser of test/cli/pictures uses the page.
//
// Claim: `show -o html` is one file that loads nothing: its content security policy allows only its own style and script, and names of
// others are text
func TestHTML(t *testing.T) {
	for _, v := range hostsOfPages() {
		d := Of(v)
		var out strings.Builder
		if err := HTML(&out, d); err != nil {
			t.Fatal(err)
		}
		page := out.String()
		between := func(begin, end string) string {
			_, rest, found := strings.Cut(page, begin)
			inside, _, also := strings.Cut(rest, end)
			if !found || !also {
				t.Fatalf("no %s...%s", begin, end)
			}
			return inside
		}
		for _, part := range []string{"style-src '" + hashOf(between("<style>", "</style>")), "script-src '" + hashOf(between("<script>", "</script>")), "default-src 'none'; "} {
			if !strings.Contains(between("<meta http-equiv", ">"), part) {
				t.Errorf("the policy has no %s", part)
			}
		}
		for part, want := range map[string]int{
			"<script": 1, "<style": 1, "<section": len(d.All()), `<g class="box`: len(d.All()) + 1, "<iframe": 0, "<link": 0, "<img": 0, " src=": 0, "href": 0, "url(": 0, "@import": 0,
		} {
			if n := strings.Count(page, part); n != want {
				t.Errorf("%q occurs %d times, want %d", part, n, want)
			}
		}
		ids := regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1)
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id[1]] {
				t.Errorf("two elements have the ID %s", id[1])
			}
			seen[id[1]] = true
		}
	}
}
