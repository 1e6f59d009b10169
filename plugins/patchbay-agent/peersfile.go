package main

import (
	"hash/maphash"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// peersFile is the file of the other nodes as this process has written it last. With 5 000 nodes its text takes more time than the rest of a pass that
// changes nothing, so it is made when what it is made from has changed, or when the file is another one.
type peersFile struct {
	sum  uint64 // of what the text was made from
	file unix.Stat_t
}

// writePeers writes the file of the other nodes, if it has changed.
func (p *passing) writePeers(nodes []cluster.Node, plan cluster.Plan) {
	path, last := agentstatus.PeersPath(p.options.status), &p.agent.peers
	sum := p.peersSum(nodes, plan)
	if sum == last.sum && last.isAt(path) {
		return
	}
	text, err := p.peersOf(nodes, plan).Encode()
	if err == nil {
		_, err = writeFile(path, text)
	}
	last.sum, last.file = sum, unix.Stat_t{}
	if err == nil {
		err = unix.Stat(path, &last.file)
	}
	if err != nil {
		p.failed = true
		p.log.Warn("write the other nodes", "error", err)
	}
}

// isAt reports whether a path has the file: another inode, or another time of its last change, is another file.
func (f *peersFile) isAt(path string) bool {
	var now unix.Stat_t
	return unix.Stat(path, &now) == nil && now.Ino == f.file.Ino && now.Dev == f.file.Dev && now.Ctim == f.file.Ctim && now.Size == f.file.Size
}

// peersSum returns a hash of what peersOf reads. Nodes are in any order. The owners of destinations follow from the nodes.
func (p *passing) peersSum(nodes []cluster.Node, plan cluster.Plan) (sum uint64) {
	sum = nodesSum(nodes)
	type kept struct{ cluster.Route }
	for _, r := range plan.Routes {
		sum += maphash.Comparable(seed, r)
	}
	for _, r := range p.kept {
		sum += maphash.Comparable(seed, kept{r}) + 1
	}
	for _, problem := range plan.Problems {
		sum += maphash.Comparable(seed, problem)
	}
	for dst, why := range p.unreached {
		sum += maphash.Comparable(seed, dst) ^ maphash.String(seed, why)
	}
	return sum
}
