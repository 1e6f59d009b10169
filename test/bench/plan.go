package main

import (
	"fmt"
	"time"
)

// plan is the extent of a run.
type plan struct {
	warmUp  int           // rounds that are dropped
	rounds  int           // measured rounds, one attachment at a time
	batches []batch       // concurrent attachments
	present []int         // numbers of attachments with which ADD is measured again
	crowd   int           // rounds at each of them
	chained int           // rounds of the contenders with published ports, of which the slow ones take a second
	named   int           // rounds of creating and deleting many namespaces by their names
	connect connects      // through published ports
	within  time.Duration // timeout of the run
}

// batch is a number of attachments that are added and then deleted, width at a time.
type batch struct {
	size, width int
	times       int // number of repetitions; the median is reported
}

// connects are rounds of many connections, one after the other, through each port.
type connects struct{ rounds, each int }

// planOf returns the plan of a name: quick, full, or "" for full.
func planOf(name string) (plan, error) {
	switch name {
	case "quick":
		return plan{
			warmUp: 5, rounds: 100,
			batches: []batch{{size: 40, width: 8, times: 5}},
			present: []int{10, 300}, crowd: 40,
			chained: 20, named: 3, connect: connects{rounds: 15, each: 400},
			within: 5 * time.Minute,
		}, nil
	case "full", "":
		return plan{
			warmUp: 10, rounds: 400,
			batches: []batch{{size: 80, width: 8, times: 7}, {size: 300, width: 300, times: 2}},
			present: []int{10, 900}, crowd: 100,
			chained: 60, named: 9, connect: connects{rounds: 41, each: 1000},
			within: 15 * time.Minute,
		}, nil
	}
	return plan{}, fmt.Errorf("BENCH is quick or full, not %q", name)
}
