package badinput

import "testing"

// TestTuningAndSBR: keys of tuning and sbr that are of the wrong type, out of range, of another namespace, or contradict each other.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestTuningAndSBR(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.try(t, tunings())
	b.try(t, sourceRoutes())
}

// tunings returns the rows of tuning.
func tunings() []row {
	const (
		invalid = 7
		names   = "give names that begin with net. and contain IFNAME"
		flag    = "give true or false"
	)
	sysctl := func(name string) string { return network(`"sysctl": {` + name + `}`) }
	return []row{
		{name: "sysctl/wrong type", config: network(`"sysctl": ["net.core.somaxconn"]`), code: invalid, msg: `sysctl: want an object of strings, got ["net.core.somaxconn"]`, details: "give an object of strings"},
		{name: "sysctl/wrong type: number", config: sysctl(`"net.core.somaxconn": 500`), code: invalid, msg: `sysctl: want an object of strings, got {"net.core.somaxconn":500}`, details: "give an object of strings"},
		{name: "sysctl/of the host", config: sysctl(`"kernel.pid_max": "99999"`), code: invalid, msg: `sysctl: "kernel.pid_max" is not a sysctl of a network namespace`, details: names},
		{name: "sysctl/traversal", config: sysctl(`"net/../kernel/pid_max": "99999"`), code: invalid, msg: `sysctl: "net/../kernel/pid_max" has an empty part`, details: names},
		{name: "sysctl/absolute path", config: sysctl(`"/proc/sys/net/core/somaxconn": "1"`), code: invalid, msg: `sysctl: "/proc/sys/net/core/somaxconn" is not a sysctl of a network namespace`, details: names},
		{name: "sysctl/IFNAME in place of net", config: sysctl(`"IFNAME.core.somaxconn": "1"`), code: invalid, msg: `sysctl: "IFNAME.core.somaxconn" is not a sysctl of a network namespace`, details: names},
		{name: "sysctl/IFNAME twice", config: sysctl(`"net.ipv4.conf.IFNAME.IFNAME": "1"`), code: invalid, msg: `sysctl: "net.ipv4.conf.IFNAME.IFNAME" has IFNAME twice, and the first one only is replaced`, details: names},
		{name: "sysctl/twice", config: sysctl(`"net.core.somaxconn": "1", "net.core.somaxconn": "2"`), code: invalid, msg: `sysctl: "net.core.somaxconn" is there twice`, details: "remove all but one"},
		{name: "sysctl/twice, with slashes", config: sysctl(`"net.core.somaxconn": "1", "net/core/somaxconn": "2"`), code: invalid, msg: `sysctl: "net/core/somaxconn" is there twice`, details: "remove all but one"},
		{name: "sysctl/two lines", config: sysctl(`"net.core.somaxconn": "1\n2"`), code: invalid, msg: `sysctl: the value of "net.core.somaxconn" is not one line of at most 65536 bytes`, details: "give one line"},
		{name: "sysctl/IFNAME of the kernel", config: sysctl(`"net.ipv4.conf.IFNAME.forwarding": "1"`), env: []string{"CNI_IFNAME=all"}, code: 4, msg: `CNI_IFNAME: "all" cannot name an interface: name is reserved by the kernel`},
		{name: "txQLen/negative", config: network(`"txQLen": -1`), code: invalid, msg: `txQLen: -1 is out of range`, details: "give a number from 0 to 4294967295"},
		{name: "txQLen/wrong type", config: network(`"txQLen": true`), code: invalid, msg: `txQLen: want a whole number, got true`, details: "give a whole number"},
		{name: "promisc/wrong type", config: network(`"promisc": 1`), code: invalid, msg: `promisc: want true or false, got 1`, details: flag},
		{name: "allmulti/wrong type", config: network(`"allmulti": "on"`), code: invalid, msg: `allmulti: want true or false, got "on"`, details: flag},
		{name: "mac/group", config: network(`"mac": "01:00:5e:00:00:01"`), code: invalid, msg: `mac: "01:00:5e:00:00:01" is a multicast address, which an interface cannot have`, details: "give six bytes"},
		{name: "args.cni.sysctl/of the host", config: network(`"args": {"cni": {"sysctl": {"kernel.pid_max": "1"}}}`), code: invalid, msg: `args.cni.sysctl: "kernel.pid_max" is not a sysctl of a network namespace`, details: names},
		{name: "args.cni.mtu/out of range", config: network(`"args": {"cni": {"mtu": 10}}`), code: invalid, msg: `args.cni.mtu: 10 is out of range`, details: "give a number from 68 to 65535"},
	}
}

// sourceRoutes returns the rows of sbr.
func sourceRoutes() []row {
	const invalid = 7
	return []row{
		{name: "sbr/wrong type", config: subnetWith(`"sbr": "yes"`), code: invalid, msg: `sbr: want true, false or an object, got "yes"`, details: "give true, or an object"},
		{name: "sbr/no addresses", config: network(`"sbr": true`), code: invalid, msg: `sbr: routes by source addresses, and network net has no ipam`, details: `give the network addresses with "ipam"`},
		{name: "sbr.table/negative", config: subnetWith(`"sbr": {"table": -1}`), code: invalid, msg: `sbr.table: -1 is out of range`, details: "give a number from 1 to 4294967295"},
		{name: "sbr.table/local", config: subnetWith(`"sbr": {"table": 255}`), code: invalid, msg: `sbr.table: 255 is the table local of the kernel`, details: "give another number"},
		{name: "sbr.table/main", config: subnetWith(`"sbr": {"table": 254}`), code: invalid, msg: `sbr.table: 254 is the table main of the kernel`, details: "give another number"},
		{name: "sbr.table/default", config: subnetWith(`"sbr": {"table": 253}`), code: invalid, msg: `sbr.table: 253 is the table default of the kernel`, details: "give another number"},
		{name: "sbr.table/conflict", config: subnetWith(`"sbr": {"table": 7, "addSourceHints": true}`), code: invalid, msg: `sbr.table: no routes are added to table 7, which others fill`, details: "leave out table"},
		{name: "sbr.gateways/two of a family", config: subnetWith(`"sbr": {"gateways": ["10.1.2.3", "10.1.2.4"]}`), code: invalid, msg: `sbr.gateways: 10.1.2.4 is the second gateway of its family`, details: "at most one of each family"},
		{name: "sbr.gateways/text", config: subnetWith(`"sbr": {"gateways": ["router"]}`), code: invalid, msg: `sbr.gateways: "router" is not an IP address`, details: "at most one IPv4 and one IPv6"},
	}
}
