package main

import (
	"math"
	"slices"
	"time"
)

// sample is what was measured, in the order of measuring.
type sample []time.Duration

// median of an even number is the lower of the two in the middle.
func (s sample) median() time.Duration { return s.quantile(0.5) }

// quantile is the smallest value that a share q of the values do not exceed (nearest rank).
func (s sample) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// perSecond is a rate whose times are those of n things.
func (s sample) perSecond(n int) float64 { return float64(n) / s.median().Seconds() }

func ratio(a, b time.Duration) float64 { return a.Seconds() / b.Seconds() }
