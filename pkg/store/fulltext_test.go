package store

// fullText is fullRecord on disk. Other versions of the program must be able to read it.
const fullText = `{
  "version": 3,
  "network": "net",
  "containerID": "c1",
  "ifname": "eth0",
  "owner": "cni",
  "role": "port",
  "created": "2026-11-24T04:05:06.000000007Z",
  "bootID": "boot",
  "hostCookie": 1,
  "hostInode": 4026531840,
  "netns": "/run/netns/a",
  "netnsCookie": 9223372036854775808,
  "netnsInode": 4026532000,
  "netnsMade": true,
  "bridge": "br0",
  "bridgeMAC": "02:00:00:00:00:09",
  "hostLink": "veth0",
  "hostIndex": 7,
  "alias": "patchbay:0 net/c1/eth0",
  "mac": "02:00:00:00:00:01",
  "addresses": [
    {
      "address": "10.1.2.3/24",
      "gateway": "10.1.2.1"
    },
    {
      "address": "2001:db8::3/128"
    }
  ],
  "hostRoutes": [
    "2001:db8::3"
  ],
  "routes": [
    {
      "dst": "0.0.0.0/0",
      "gw": "10.1.2.1",
      "priority": 100,
      "table": 7
    },
    {
      "dst": "::/0"
    }
  ],
  "planned": [
    {
      "dst": "0.0.0.0/0",
      "gw": "10.1.2.1"
    }
  ],
  "dataDir": "/data",
  "ipamType": "dhcp",
  "ipam": "done",
  "masquerade": {
    "addresses": [
      "10.1.2.3/24"
    ],
    "exclude": [
      "10.0.0.0/8"
    ],
    "randomFully": true,
    "outbound4": "203.0.113.5",
    "outbound6": "2001:db8::5"
  },
  "publish": {
    "ports": [
      {
        "protocol": "tcp",
        "hostIP": "192.0.2.1",
        "hostPort": 8080,
        "count": 2,
        "container": "10.1.2.3",
        "containerPort": 80
      }
    ],
    "plain": true,
    "all": true,
    "markBit": 20,
    "localhost": true
  },
  "policy": "isolated",
  "firewallAuto": true,
  "egress": {
    "allow": [
      "192.0.2.0/24"
    ],
    "dns": [
      "192.0.2.53"
    ],
    "dhcp": true
  },
  "spoofCheck": {
    "mac": "02:00:00:00:00:01",
    "full": true
  },
  "hairpin": true,
  "stpGuard": true,
  "portIsolation": true,
  "vlans": {
    "native": 100,
    "trunk": [
      {
        "first": 5,
        "last": 5
      },
      {
        "first": 10,
        "last": 20
      }
    ],
    "keepDefault": true
  },
  "bandwidth": {
    "ingress": {
      "rate": 18446744073709551615,
      "burst": 100000
    },
    "egress": {
      "rate": 1000000
    },
    "shapedSubnets": [
      "10.0.0.0/8"
    ],
    "unshapedSubnets": [
      "10.1.0.0/16"
    ],
    "device": "ifb0"
  },
  "gateway": true,
  "segment": "br0.100",
  "tap": {
    "name": "tap0",
    "owner": 0,
    "group": 0,
    "multiQueue": true
  },
  "tuning": {
    "set": {
      "sysctls": [
        {
          "name": "net/ipv4/conf/eth0/arp_filter",
          "value": "1"
        },
        {
          "name": "net/ipv4/neigh/eth0/base_reachable_time_ms",
          "value": "30001",
          "kernel": "30000"
        }
      ],
      "promisc": true,
      "allmulti": false,
      "txQLen": 0
    },
    "was": {
      "mac": "02:00:00:00:00:07",
      "mtu": 1500,
      "promisc": false,
      "txQLen": 1000
    }
  },
  "sourceRouting": {
    "rules": [
      {
        "address": "10.1.2.3/24",
        "gateway": "10.1.2.1",
        "table": 100
      },
      {
        "address": "2001:db8::3/128",
        "table": 101
      }
    ],
    "shared": true
  },
  "pod": {
    "namespace": "default",
    "name": "web",
    "uid": "u"
  },
  "parts": [
    "portmap",
    "firewall"
  ]
}
`
