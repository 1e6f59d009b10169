# The life of two containers in a user, network and mount namespace of somebody who is not root.
# $1 is the plugin. Every step says what it is; what fails ends the script.
set -eu
say() { printf '%s\n' "$*"; }
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
ip link set lo up

call() { # VERB CONTAINER [CONFIG]
	CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=/nowhere "$plugin" <<JSON
${3:-$config}
JSON
}

plugin=$1
config='{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
  "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "fd00:1:2::/64"}]]}}'

for name in red blue; do
	ip netns add $name
	call ADD $name >/run/$name.json || { cat /run/$name.json; exit 1; }
	call CHECK $name "${config%\}}, \"prevResult\": $(cat /run/$name.json)}"
	say "ADD and CHECK of $name"
done
for to in 10.1.2.3 fd00:1:2::3 10.1.2.1 fd00:1:2::1; do
	nsenter --net=/run/netns/red ping -n -c 1 -W 5 $to >/run/ping || { cat /run/ping; exit 1; }
	say "red pings $to"
done
elements() { nft list map inet patchbay masq4 && nft list map inet patchbay masq6; }
for address in 10.1.2.2 10.1.2.3 fd00:1:2::2 fd00:1:2::3; do
	elements >/run/elements
	grep -q "$address " /run/elements || { cat /run/elements; exit 1; }
	say "$address is masqueraded"
done
for name in red blue; do
	call DEL $name
done
left=$(elements | grep jump || true; find /run/patchbay -type f ! -name lock ! -name .ruleset ! -name 'last_reserved_ip.*'; ip -o link | grep -v -e ' lo:' -e ' cni0:' || true)
for name in red blue; do
	left=$left$(ip -n $name -o link | grep -v ' lo:' || true)
done
[ -z "$left" ] || { say "left: $left"; exit 1; }
say "nothing is left"
