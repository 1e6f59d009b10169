#!/usr/bin/env python3
"""Compare ADD and DEL of two builds of patchbay, as root: scripts/compare.py OLD NEW [ROUNDS]

OLD and NEW are programs called patchbay. Each runs in a host that is a namespace of its own, since their
nftables schemas may differ; calls alternate, so that load on the machine is the same for both. For each kind of network it
prints quartiles of wall time in milliseconds, and the ratio new / old, also of the medians of processor time and page faults.
"""
import json
import os
import resource
import subprocess
import sys
import time

KINDS = {
    "gateway": {},
    "ipMasq": {"ipMasq": True},
    "published port": {"ipMasq": True, "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}},
    "isolated": {"ipMasq": True, "ingressPolicy": "isolated"},
}
HOST = """mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p /run/netns && mount -t tmpfs none /var/lib &&
ip link set lo up && ip netns add c && ip netns add neighbour"""


def config(kind):
    network = {"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": True,
               "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/16"}]]}}
    return json.dumps(network | KINDS[kind]).encode()


def serve(program):
    """Answer calls, a line each, in the namespaces that this process was started in."""
    subprocess.run(HOST, shell=True, check=True)
    for line in sys.stdin:
        command, container, kind = json.loads(line)
        env = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": "/run/netns/" + container,
               "CNI_IFNAME": "eth0", "CNI_PATH": os.path.dirname(program), "PATH": os.environ["PATH"]}
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run([program], input=config(kind), capture_output=True, env=env, check=False)
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        faults = after.ru_minflt - before.ru_minflt
        said = "" if done.returncode == 0 else (done.stdout + done.stderr).decode()
        print(json.dumps([wall * 1000, processor * 1000, faults, said]), flush=True)


def start(program):
    return subprocess.Popen(["unshare", "-nm", sys.executable, __file__, "serve", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def call(server, *what):
    server.stdin.write(json.dumps(what) + "\n")
    server.stdin.flush()
    *taken, said = json.loads(server.stdout.readline())
    if said:
        sys.exit(f"{what}: {said}")
    return taken


def quantile(samples, part, which):
    return sorted(s[which] for s in samples)[int(len(samples) * part)]


def compare(programs, kind, rounds):
    servers = {name: start(program) for name, program in programs.items()}
    if kind != "published port":  # a neighbour, so that the bridge is in use
        for server in servers.values():
            call(server, "ADD", "neighbour", kind)
    taken = {(name, command): [] for name in servers for command in ("ADD", "DEL")}
    for i in range(rounds):
        for command in ("ADD", "DEL"):
            for name in sorted(servers, reverse=i % 2 == 1):
                taken[name, command].append(call(servers[name], command, "c", kind))
    for server in servers.values():
        server.stdin.close()
        server.wait()
    for command in ("ADD", "DEL"):
        old, new = taken["old", command], taken["new", command]
        cells = [(part, quantile(old, part, 0), quantile(new, part, 0)) for part in (0.25, 0.5, 0.75)]
        walls = "  ".join(f"{part:.2f}: {a:.2f} {b:.2f} {b / a:.3f}" for part, a, b in cells)
        processor, faults = quantile(new, 0.5, 1) / quantile(old, 0.5, 1), [quantile(side, 0.5, 2) for side in (old, new)]
        print(f"{kind:14} {command}  wall {walls}  processor {processor:.3f}  faults {faults[0]} {faults[1]}", flush=True)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "serve":
        return serve(sys.argv[2])
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    programs = {"old": os.path.realpath(sys.argv[1]), "new": os.path.realpath(sys.argv[2])}
    for kind in KINDS:
        compare(programs, kind, int(sys.argv[3]) if len(sys.argv) == 4 else 300)
    return None


if __name__ == "__main__":
    main()
