// Package metrics writes the state of this host in the text format of Prometheus
// (version 0.0.4): gauges from what package health found, and counters and histograms of
// the verbs from the log lines that the plugin has written.
// It must not examine the host itself, and must not change anything but the file of the
// counters.
//
//	counters, err := metrics.Update("/var/lib/patchbay/metrics.json", []string{"/var/log/patchbay.log"})
//	err = metrics.Write(out, metrics.Host{State: summary, Verbs: counters})
//
// A log is rotated, so its lines alone are no counter: one that starts again counts
// twice for rate(). Update adds the lines that are new since its last call to counters in
// a file, and keeps for each log how far it was read.
//
// text.go has the format, host.go the gauges, verbs.go the counters of log lines,
// counters.go their file, log.go the reader of a log.
package metrics
