package bandwidth

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Handles (linux/pkt_sched.h).
const (
	root    = 0xFFFFFFFF // TC_H_ROOT
	clsact  = 0xFFFFFFF1 // TC_H_CLSACT, the parent of the qdiscs clsact and ingress
	arrives = 0xFFFFFFF2 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), the parent of filters on packets that arrive
	leaves  = 0xFFFFFFF3 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), the same on packets that leave

	clsactHandle = 0xFFFF0000

	// Major numbers that other programs hardly use: a root qdisc with another one is not of this package.
	rootHandle  = 0x50420000 // 5042:
	shapedClass = 0x50420001 // 5042:1
	leafHandle  = 0x50430000 // 5043:
)

// Attributes of the qdiscs (linux/pkt_sched.h).
const (
	tbfParms, tbfRate64, tbfBurst              = 1, 4, 6
	htbParms, htbInit, htbRate64, htbCeil64    = 1, 2, 6, 7
	ethernet                                   = 1 << 8 // linklayer of struct tc_ratespec: without one the kernel wants a rate table
	htbVersion, htbQuantum, nanosecondsPerTick = 3, 16 << 10, 64
)

// rateSpec returns a struct tc_ratespec. Its field for the rate has 32 bits; a faster rate is in an attribute of its own.
func rateSpec(rate uint64) []byte { return words(ethernet, 0, uint32(min(rate, math.MaxUint32))) }

// addTBF makes a token bucket filter the root qdisc. Without NLM_F_REPLACE the kernel replaces only its own default, not the qdisc of another
// program: EEXIST. TBF delays packets that exceed the rate, and splits a batch of segments (GSO)
// that is longer than the burst. The kernel computes the time of the burst itself if it has its length (TCA_TBF_BURST, Linux 3.13).
func (c conn) addTBF(index int, b bucket) error {
	var options attributes
	parms := append(rateSpec(b.rate), make([]byte, 12)...) // no peak rate
	options.add(tbfParms, append(parms, words(b.queue, 0, 0)...))
	options.uint32(tbfBurst, b.burst)
	if b.rate > math.MaxUint32 {
		options.uint64(tbfRate64, b.rate)
	}
	return c.do(tcRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tcHeader{index: index, handle: rootHandle, parent: root}, tcBody{kind: "tbf", options: options}))
}

// readTBF returns the parameters of the root qdisc; ok is false if it is none of ours.
func (c conn) readTBF(index int) (b bucket, ok bool, err error) {
	o, ok, err := c.get(unix.RTM_GETQDISC, tcHeader{index: index, parent: root})
	if err != nil || !ok || o.kind != "tbf" {
		return b, false, err
	}
	parms := nlsock.Attribute(o.options, tbfParms)
	b = bucket{rate: rateOf(parms, nlsock.Attribute(o.options, tbfRate64)), queue: word(parms, 6)}
	b.burst = bytesOf(word(parms, 7), b.rate)
	return b, true, nil
}

// rateOf reads a rate from a struct tc_ratespec, or from the attribute that is there if 32 bits are too few.
func rateOf(spec, wide []byte) uint64 {
	if len(wide) == 8 {
		return uint64(word(wide, 0)) | uint64(word(wide, 1))<<32
	}
	return uint64(word(spec, 2))
}

// bytesOf converts the time of a burst, in ticks, to bytes. The kernel rounds the time down.
func bytesOf(ticks uint32, rate uint64) uint32 {
	return uint32(min(float64(ticks)*nanosecondsPerTick/1e9*float64(rate), math.MaxUint32))
}

// addHTB makes HTB the root qdisc, with one class. Packets that no filter puts into the class leave at once: HTB without a default class
// has a queue for them that no rate limits. TBF has no classes.
//
// The class gets a queue limited in bytes. HTB's own is limited to 1000 packets, which are up to 64 KiB each.
func (c conn) addHTB(index int, b bucket) error {
	var init attributes
	init.add(htbInit, words(htbVersion, 10, 0, 0, 0))
	err := c.do(tcRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tcHeader{index: index, handle: rootHandle, parent: root}, tcBody{kind: "htb", options: init}))
	if err != nil {
		return err
	}
	var class attributes
	ticks := ticksOf(b)
	parms := append(rateSpec(b.rate), rateSpec(b.rate)...)
	class.add(htbParms, append(parms, words(ticks, ticks, htbQuantum, 0, 0)...))
	if b.rate > math.MaxUint32 {
		class.uint64(htbRate64, b.rate)
		class.uint64(htbCeil64, b.rate)
	}
	err = c.do(tcRequest(unix.RTM_NEWTCLASS, unix.NLM_F_CREATE, tcHeader{index: index, handle: shapedClass, parent: rootHandle}, tcBody{kind: "htb", options: class}))
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return c.do(tcRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, tcHeader{index: index, handle: leafHandle, parent: shapedClass}, tcBody{kind: "bfifo", options: words(b.queue)}))
}

// ticksOf returns the time in which the rate sends the burst, in ticks.
func ticksOf(b bucket) uint32 {
	return uint32(min(float64(b.burst)*1e9/float64(b.rate)/nanosecondsPerTick, math.MaxUint32))
}

// readHTB returns the parameters of the class; ok is false if the root qdisc is none of ours.
func (c conn) readHTB(index int) (b bucket, ok bool, err error) {
	o, ok, err := c.get(unix.RTM_GETQDISC, tcHeader{index: index, parent: root})
	if err != nil || !ok || o.kind != "htb" {
		return b, false, err
	}
	if o, ok, err = c.get(unix.RTM_GETTCLASS, tcHeader{index: index, handle: shapedClass}); err != nil || !ok {
		return b, false, err
	}
	parms := nlsock.Attribute(o.options, htbParms)
	b.rate = rateOf(parms, nlsock.Attribute(o.options, htbRate64))
	b.burst = bytesOf(word(parms, 6), b.rate)
	leaf, ok, err := c.get(unix.RTM_GETQDISC, tcHeader{index: index, handle: leafHandle})
	b.queue = word(leaf.options, 0)
	return b, ok, err
}

// deleteRoot deletes the root qdisc, if it is one of this package; the kernel then attaches its default.
func (c conn) deleteRoot(index int) error {
	o, ok, err := c.get(unix.RTM_GETQDISC, tcHeader{index: index, parent: root})
	if err != nil || !ok || o.handle != rootHandle || o.kind != "tbf" && o.kind != "htb" {
		return err
	}
	err = c.do(tcRequest(unix.RTM_DELQDISC, 0, tcHeader{index: index, handle: rootHandle, parent: root}, tcBody{}))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// addClsact adds the qdisc to which filters on arriving packets are attached. One that exists, also one of another program, is used.
func (c conn) addClsact(index int) error {
	err := c.do(tcRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tcHeader{index: index, handle: clsactHandle, parent: clsact}, tcBody{kind: "clsact"}))
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// deleteClsact deletes the qdisc clsact unless it has filters. Which program added it is not known, but without filters it has no effect.
func (c conn) deleteClsact(index int) error {
	for _, parent := range []uint32{arrives, leaves} {
		left, err := c.filters(tcHeader{index: index, parent: parent})
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil || len(left) > 0 {
			return err
		}
	}
	err := c.do(tcRequest(unix.RTM_DELQDISC, 0, tcHeader{index: index, handle: clsactHandle, parent: clsact}, tcBody{kind: "clsact"}))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
