// Package dist tests what `make dist` builds: that two builds are equal, the packages in a throw-away root, the image, and the manifests for
// Kubernetes. scripts/test.sh builds the release that it reads.
package dist
