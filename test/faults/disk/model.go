package disk

// Model is the rules of a file system: which changes reach the disk before which. A program that survives a model survives every file
// system whose rules are stricter.
type Model struct {
	Name string

	// Ordered: changes of names and sizes reach the disk in the order of the calls, through one journal. A size changes when the data is
	// written, or later (delayed allocation).
	Ordered bool
	// SyncAll: fsync of any file or directory writes all earlier changes of names, because the journal has an order.
	SyncAll bool
	// SyncNames: fsync of a file also writes its names and the directories above it.
	SyncNames bool
	// Replace: a rename over an existing file reaches the disk after the data of the new file.
	Replace bool
	// SizeFirst: the size of a file may reach the disk before the data. The file then has zeros, or what another file had in these blocks.
	SizeFirst bool
}

// Ext4 is ext4 with its defaults, data=ordered and auto_da_alloc: "the data blocks of the new file are forced to disk before the rename()
// operation is committed" (Documentation/admin-guide/ext4.rst).
func Ext4() Model {
	return Model{Name: "ext4 ordered", Ordered: true, SyncAll: true, SyncNames: true, Replace: true}
}

// Ext4Writeback is ext4 with data=writeback: the journal does not wait for data, so files may have old blocks.
func Ext4Writeback() Model {
	return Model{Name: "ext4 writeback", Ordered: true, SyncAll: true, SyncNames: true, SizeFirst: true}
}

// XFS is xfs. It changes the size of a file after its data was written (since Linux 2.6.23), so a file is empty and never zeros. A rename does not
// wait for data.
func XFS() Model { return Model{Name: "xfs", Ordered: true, SyncAll: true, SyncNames: true} }

// Btrfs is btrfs: a transaction commits all changes up to a call; fsync writes a file with its names, or the entries of a directory, ahead of
// that into the log tree. Renames start the write of data, but do not wait for it since Linux 3.17 (commit 8d875f95da43).
func Btrfs() Model { return Model{Name: "btrfs", Ordered: true, SyncNames: true} }

// NoOrder is what POSIX promises: fsync of a file writes its data, fsync of a directory its entries, and nothing else has an order. ext2 is
// of this kind, and btrfs where its log has a defect.
func NoOrder() Model { return Model{Name: "no order"} }

// Models returns all models.
func Models() []Model { return []Model{Ext4(), Ext4Writeback(), XFS(), Btrfs(), NoOrder()} }
