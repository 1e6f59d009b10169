package main

import (
	"math"
	"slices"
	"time"
)

// sample has measured durations, in the order of measurement.
type sample []time.Duration

// median returns the median; of an even number of values the lower of the two in the middle.
func (s sample) median() time.Duration { return s.quantile(0.5) }

// quantile returns the smallest value that a share q of the values do not exceed (nearest rank).
func (s sample) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// perSecond returns a rate, if each duration is that of n operations.
func (s sample) perSecond(n int) float64 { return float64(n) / s.median().Seconds() }

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }
