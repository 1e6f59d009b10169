// Package interrupt owns the three signals that end an ADD: SIGTERM, SIGINT and SIGHUP. It never
// decides what is undone; whoever works asks between two steps.
//
//	ctx, stop := interrupt.Catch()   // from now on they are noticed, and nothing else happens
//	defer stop()
//	if ctx.Err() != nil { ... }      // between two steps
//
// os/signal does the same for a third of a millisecond, a tenth of an ADD: it starts two threads
// and waits for them three times over. So the signals go to a handler of three instructions,
// which notes that one came, and only a caller who really waits, for a lock held by another
// process, pays for os/signal: the first call of Done changes over to it.
package interrupt
