// Package packages tests the .deb on a machine of package vm, with the dpkg, systemd and containerd of Debian 12: what it installs, upgrades under
// traffic, interrupted ones too, and that its removal leaves the machine as it was. What is in the packages, and the .rpm, is the subject of test/repo/dist.
//
// scripts/test-boot.sh builds the .deb of the tree as version 0.3.0 ("newer"), that of the oldest commit whose package has the units of today
// ("older"), and the program of 0.2.0, for which there was no package. The program guest runs in the machine.
//
// Files, in reading order: site_test.go, flows_test.go (traffic), state_test.go (files and kernel), then the tests.
package packages
