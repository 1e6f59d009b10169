package delegate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// IsSelf reports whether the plugin is this program: a link to its file, a copy, or another version of it. To call a copy would never
// end. Another version, which has the other names of a drop-in for a moment during an upgrade, would wait for the lock of the record that
// this process holds.
func (p *Plugin) IsSelf() bool {
	const self = "/proc/self/exe"
	running, err1 := os.Stat(self)
	its, err2 := os.Stat(p.Path)
	if err1 != nil || err2 != nil {
		return false
	}
	return os.SameFile(running, its) || running.Size() == its.Size() && sameContent(self, p.Path) || samePackage(self, p.Path)
}

// compared is how many bytes sameContent compares at each end of two files. The first page of a Go program has its build
// ID, which contains a hash of the whole program, so that two builds differ there. To read all of it would take a verb of a
// drop-in installation, whose host-local is a copy, longer than the rest of its work.
const compared = 1 << 14

// sameContent compares the beginning and the end of two files. It is called only for files of equal size, which two
// different builds rarely have.
func sameContent(one, other string) bool {
	a, err1 := readEnds(one)
	b, err2 := readEnds(other)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

// readEnds returns the first and the last bytes of a file.
func readEnds(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ends := make([]byte, 2*compared)
	first, err := io.ReadFull(f, ends[:compared])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return ends[:first], nil
	}
	if err == nil {
		_, err = f.Seek(-compared, io.SeekEnd)
	}
	if err == nil {
		_, err = io.ReadFull(f, ends[compared:])
	}
	return ends, err
}

// samePackage reports whether two programs were built from the same main package, in any version.
func samePackage(one, other string) bool {
	a, b := mainPackage(one), mainPackage(other)
	return len(a) > 0 && bytes.Equal(a, b)
}

// mainPackage returns the import path of the main package of a Go program, nil if the file is no program of 64 bits that Go has built. Package
// debug/buildinfo of the standard library reads the same, but links readers of five formats of programs and of DWARF.
func mainPackage(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	_, rest, found := bytes.Cut(buildInfo(f), []byte("path\t"))
	name, _, ended := bytes.Cut(rest, []byte("\n"))
	if !found || !ended {
		return nil
	}
	return name
}

// Offsets and sizes of ELF for 64 bits (elf(5)). Both architectures of this program are little-endian.
const (
	elfHeader     = 64 // size of Elf64_Ehdr
	elfSections   = 0x28
	elfCount      = 0x3c
	sectionHeader = 64 // size of Elf64_Shdr
	sectionOffset = 0x18
	sectionSize   = 0x20
	maxSections   = 256
	maxBuildInfo  = 1 << 14
)

// buildInfo returns what the section .go.buildinfo of an ELF file begins with, recognized by its first bytes.
func buildInfo(f io.ReaderAt) []byte {
	header := readAt(f, 0, elfHeader)
	if !bytes.HasPrefix(header, []byte("\x7fELF\x02\x01")) {
		return nil
	}
	count := int(binary.LittleEndian.Uint16(header[elfCount:]))
	if count > maxSections {
		return nil
	}
	sections := readAt(f, binary.LittleEndian.Uint64(header[elfSections:]), count*sectionHeader)
	for ; len(sections) >= sectionHeader; sections = sections[sectionHeader:] {
		at, size := binary.LittleEndian.Uint64(sections[sectionOffset:]), binary.LittleEndian.Uint64(sections[sectionSize:])
		magic := []byte("\xff Go buildinf:")
		if size >= 32 && bytes.Equal(readAt(f, at, len(magic)), magic) {
			return readAt(f, at, int(min(size, maxBuildInfo)))
		}
	}
	return nil
}

// readAt reads a part of a file; nil if it does not have that many bytes there.
func readAt(f io.ReaderAt, at uint64, size int) []byte {
	b := make([]byte, size)
	if n, err := f.ReadAt(b, int64(at)); n < size || err != nil && !errors.Is(err, io.EOF) { //nolint:gosec // a negative offset is an error of ReadAt
		return nil
	}
	return b
}
