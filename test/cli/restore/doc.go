// Package restore tests `patchbay reload --watch` on hosts whose rules, bridges and settings other programs remove.
package restore
