package parity

// conflistRows are the files of testdata, whose README tells where they come from.
func conflistRows() []row {
	return []row{
		{name: "containerd", file: "containerd.conflist", outside: true},
		{name: "CRI-O", file: "crio.conflist", outside: true},
		{name: "nerdctl", file: "nerdctl.conflist", outside: true},
		{name: "flannel", file: "flannel.conflist"},
		{name: "kubeadm", file: "kubeadm.conflist", outside: true},
	}
}
