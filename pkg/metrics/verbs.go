package metrics

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// bounds returns the upper bounds in seconds of the buckets of a duration: an ADD takes
// milliseconds, one that waits for a lock or for DHCP seconds.
func bounds() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

// verbs are the verbs that the plugin logs.
func verbs() []string { return []string{"ADD", "CHECK", "DEL", "GC", "STATUS"} }

// Verb counts the calls of one verb.
type Verb struct {
	Codes   map[uint]uint64 `json:"codes"`   // calls by error code; 0 for success
	Buckets []uint64        `json:"buckets"` // calls by the first bound that is not exceeded; one more for the others
	Seconds float64         `json:"seconds"` // sum of durations
}

// Verbs are the counters over all log lines.
type Verbs struct {
	Verbs    map[string]*Verb   `json:"verbs"`
	Steps    map[string]float64 `json:"steps"`    // of ADD: sum of durations in seconds
	BadLines uint64             `json:"badLines"` // that are no JSON, or have a verb that does not exist
}

// The limits of what a log may have.
const (
	mostCodes = 200         // values of the label code, of each verb
	mostSteps = 50          // values of the label step
	mostMS    = 24 * 3600e3 // milliseconds of a call: it has a deadline of 75 s
)

// add counts a line.
func (v *Verbs) add(l line) {
	if !slices.Contains(verbs(), l.Verb) || !isDuration(l.MS) {
		v.BadLines++
		return
	}
	one := v.verb(l.Verb)
	if _, known := one.Codes[l.Code]; !known && len(one.Codes) == mostCodes {
		v.BadLines++
		return
	}
	one.Codes[l.Code]++
	seconds := l.MS / 1000
	one.Seconds += seconds
	i, _ := slices.BinarySearch(bounds(), seconds)
	one.Buckets[i]++
	if l.Verb != "ADD" {
		return
	}
	for step, ms := range l.Steps {
		if _, known := v.Steps[step]; isDuration(ms) && (known || len(v.Steps) < mostSteps) {
			v.Steps[step] += ms / 1000
		}
	}
}

func isDuration(ms float64) bool { return ms >= 0 && ms <= mostMS }

// verb returns the counters of a verb, complete also if the file of the counters was not.
func (v *Verbs) verb(name string) *Verb {
	one := v.Verbs[name]
	if one == nil {
		one = &Verb{}
		v.Verbs[name] = one
	}
	if one.Codes == nil {
		one.Codes = map[uint]uint64{}
	}
	if len(one.Buckets) != len(bounds())+1 { // the bounds of another version
		one.Buckets, one.Seconds, one.Codes = make([]uint64, len(bounds())+1), 0, map[uint]uint64{}
	}
	return one
}

// writeVerbs writes the counters, also those of verbs that were not called yet, so that
// rate() sees the first call.
func (e *exposition) writeVerbs(v *Verbs) {
	e.family("patchbay_verbs_total", counter, "Calls of the plugin that the log has, by verb and CNI error code; code 0 is success.")
	for _, name := range verbs() {
		one := v.verb(name)
		if _, succeeded := one.Codes[0]; !succeeded {
			e.sample("patchbay_verbs_total", 0, "verb", name, "code", "0")
		}
		for _, code := range slices.Sorted(maps.Keys(one.Codes)) {
			e.sample("patchbay_verbs_total", float64(one.Codes[code]), "verb", name, "code", strconv.FormatUint(uint64(code), 10))
		}
	}
	for _, name := range verbs() {
		e.writeDurations("patchbay_"+strings.ToLower(name)+"_duration_seconds", name, v.verb(name))
	}
	e.family("patchbay_add_step_seconds_total", counter, "Time that ADD took, by step (docs/architecture.md).")
	for _, step := range slices.Sorted(maps.Keys(v.Steps)) {
		e.sample("patchbay_add_step_seconds_total", v.Steps[step], "step", step)
	}
	e.family("patchbay_log_bad_lines_total", counter, "Lines of the log that could not be read.")
	e.sample("patchbay_log_bad_lines_total", float64(v.BadLines))
}

// writeDurations writes the histogram of a verb.
func (e *exposition) writeDurations(family, verb string, v *Verb) {
	e.family(family, histogram, "Duration of "+verb+", failed calls included.")
	total := uint64(0)
	for i, bound := range bounds() {
		total += v.Buckets[i]
		e.sample(family+"_bucket", float64(total), "le", number(bound))
	}
	total += v.Buckets[len(bounds())]
	e.sample(family+"_bucket", float64(total), "le", "+Inf")
	e.sample(family+"_sum", v.Seconds)
	e.sample(family+"_count", float64(total))
}
