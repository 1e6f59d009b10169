package cli

import "slices"

// OutdatedResolver reports whether the file that WriteResolver wrote for a namespace has none of the name servers that it
// would write now. It returns the servers of the file, and those of now with the lines of the whole file. If the servers
// of now are not known, as those of a network, the file counts as right.
func OutdatedResolver(name string) (servers, now, lines []string, is bool) {
	path := OwnResolver(name)
	if path == "" {
		return nil, nil, nil, false
	}
	written, err := ReadResolver(path)
	host, failed := ReadResolver(hostResolver)
	if err != nil || failed != nil {
		return nil, nil, nil, false
	}
	now, other := host.reachable(nil)
	if len(now) == 0 || slices.ContainsFunc(written.Servers, func(s string) bool { return slices.Contains(now, s) }) {
		return nil, nil, nil, false
	}
	lines = []string{resolverHead(name)[:len(resolverHead(name))-1]}
	for _, server := range now {
		lines = append(lines, "nameserver "+server)
	}
	return written.Servers, now, append(lines, other...), true
}
