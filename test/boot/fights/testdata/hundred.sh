#!/bin/sh
# hundred.sh VERB: calls VERB for /run/netns/h1 ... h100 at the same time, as runtimes do that start many pods: each in a process of its own.
# The directory of the calls gets, for each, its output, stderr, exit status and time.
verb=$1
mkdir -p /run/hundred
cd /run/hundred
conf() {
	printf '{"cniVersion":"1.0.0","name":"hundred","type":"patchbay","bridge":"cni0","isDefaultGateway":true,"ipMasq":true,"capabilities":{"portMappings":true},'
	printf '"ipam":{"type":"patchbay","ranges":[[{"subnet":"10.88.0.0/16"}]]},"runtimeConfig":{"portMappings":[{"hostPort":%d,"containerPort":80,"protocol":"tcp"}]}' $((9000 + $1))
	if [ "$verb" != ADD ]; then printf ',"prevResult":%s' "$(cat ADD.$1.out)"; fi
	echo '}'
}
for i in $(seq 100); do conf $i >$verb.$i.conf; done
began=$(date +%s%N)
for i in $(seq 100); do
	(
		CNI_COMMAND=$verb CNI_CONTAINERID=c$i CNI_NETNS=/run/netns/h$i CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \
			/opt/cni/bin/patchbay <$verb.$i.conf >$verb.$i.out 2>$verb.$i.err
		echo "$? $(((($(date +%s%N) - began)) / 1000000))" >$verb.$i.end
	) &
done
wait
