package store

// IsNamespace reports whether a network namespace that exists is the one of the attachment: by its cookie (SO_NETNS_COOKIE), or by its inode number on a
// kernel before 5.14, which has no cookies. An inode number may belong to a later namespace, so there true is no evidence, and false is.
func (r *Record) IsNamespace(cookie, inode uint64) bool {
	if r.NetnsCookie != 0 || cookie != 0 {
		return r.NetnsCookie == cookie
	}
	return r.NetnsInode == 0 || r.NetnsInode == inode
}
