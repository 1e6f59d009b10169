// Package versions lets two versions of patchbay take turns on one host: the one under test, and one whose schema of nftables and
// form of records are one higher (build_next of scripts/lib.sh). It shows that nothing leaks and no rule is lost, whoever ADDs,
// DELs, reloads, in turns or at once.
// It never tests what a verb does where there is one version only: that is test/verbs and test/nat.
package versions
