package parity

// conflistRows returns the files of testdata. testdata/README.md has their sources.
func conflistRows() []row {
	return []row{
		{name: "containerd", file: "containerd.conflist", outside: true},
		{name: "CRI-O", file: "crio.conflist", outside: true},
		{name: "nerdctl", file: "nerdctl.conflist", outside: true},
		{name: "flannel", file: "flannel.conflist"},
		{name: "kubeadm", file: "kubeadm.conflist", outside: true},
	}
}
