package nettest

import (
	"fmt"
	"testing"
)

// The price of the harness itself; there are hundreds of hosts in a test run.

func BenchmarkHost(b *testing.B) {
	for b.Loop() {
		record(b, func(t testing.TB) { Host(t) })
	}
}

func BenchmarkLAN(b *testing.B) {
	for b.Loop() {
		record(b, func(t testing.TB) { Host(t).LAN(t) })
	}
}

func BenchmarkContainer(b *testing.B) {
	h := Host(b)
	for i := 0; b.Loop(); i++ {
		h.Container(fmt.Sprint("c", i)).Delete()
	}
}

func BenchmarkSnapshot(b *testing.B) {
	h := Host(b)
	h.LAN(b)
	for b.Loop() {
		h.Snapshot()
	}
}

func BenchmarkPing(b *testing.B) {
	h := Host(b)
	for b.Loop() {
		if err := h.PingOnce(localhost()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommand(b *testing.B) {
	h := Host(b)
	for b.Loop() {
		h.Run(b, "/bin/true")
	}
}
