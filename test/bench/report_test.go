package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	tests := []struct {
		name string
		of   sample
		q    float64
		want time.Duration
	}{
		{"one value", sample{7}, 0.95, 7},
		{"median of an odd number", sample{9, 1, 5}, 0.5, 5},
		{"median of an even number", sample{9, 1, 5, 3}, 0.5, 3},
		{"95th of twenty", sample{20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0.95, 19},
		{"the smallest", sample{2, 1}, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.of.quantile(tt.q); got != tt.want {
				t.Errorf("quantile(%v) of %v is %d, want %d", tt.q, tt.of, got, tt.want)
			}
		})
	}
}

func TestPrintTable(t *testing.T) {
	var out strings.Builder
	if err := printTable(&out, "Two", [][]string{{"who", "ms"}, {"patchbay", "1.00"}, {"é", ""}}); err != nil {
		t.Fatal(err)
	}
	want := `
Two:

| who      |   ms |
|----------|-----:|
| patchbay | 1.00 |
| é        |      |
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printTable (-want +got):\n%s", diff)
	}
}

func TestOthers(t *testing.T) {
	before := load{all: 100, own: 10, idle: 50}
	tests := []struct {
		name string
		now  load
		want float64
	}{
		{"no time has passed", before, 0},
		{"all idle", load{all: 110, own: 10, idle: 60}, 0},
		{"all this program", load{all: 110, own: 20, idle: 50}, 0},
		{"half of it other programs", load{all: 110, own: 12, idle: 53}, 0.5},
		{"a tick was counted twice", load{all: 110, own: 15, idle: 56}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.others(before); got != tt.want {
				t.Errorf("others is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPlans(t *testing.T) {
	for _, name := range []string{"quick", "full", ""} {
		if p, err := planOf(name); err != nil || p.rounds == 0 || len(p.present) < 2 || p.within == 0 || p.chained == 0 || p.connect.rounds == 0 || p.connect.each == 0 {
			t.Errorf("planOf(%q) is %+v, %v", name, p, err)
		}
	}
	if _, err := planOf("fast"); err == nil {
		t.Error("planOf(fast) is no error")
	}
}
