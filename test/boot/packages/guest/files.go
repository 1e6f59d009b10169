package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listing describes files by their paths.
type listing struct {
	without []string
	booted  time.Time
	all     map[string]string
}

// listFiles prints a JSON object of each file: mode, owner, size and hash, or the target of a link. Of a file that was not written since the machine has
// booted it has the time of its last change instead of a hash: every write sets it, and the disk has more than a gigabyte. File systems that are
// mounted below are left out.
func listFiles(without []string) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return err
	}
	l := &listing{without: without, booted: time.Now().Add(-time.Duration(info.Uptime) * time.Second), all: map[string]string{}}
	for _, top := range []string{"/", "/run"} {
		if err := l.add(top); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(l.all)
}

func (l *listing) add(top string) error {
	info, err := os.Stat(top)
	if err != nil {
		return err
	}
	device := deviceOf(info)
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		for _, one := range l.without {
			if path == one || strings.HasPrefix(path, one+"/") {
				return skip(d)
			}
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		if deviceOf(info) != device {
			return skip(d)
		}
		l.all[path], err = l.describe(path, info)
		return ignoreGone(err)
	})
}

// ignoreGone is for a file that was deleted meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func deviceOf(info fs.FileInfo) uint64 {
	if stat, is := info.Sys().(*syscall.Stat_t); is {
		return stat.Dev
	}
	return 0
}

// describe leaves the size of directories out, which depends on what they once had.
func (l *listing) describe(path string, info fs.FileInfo) (string, error) {
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return "", errors.New("no stat of " + path)
	}
	text := fmt.Sprintf("%v %d:%d", info.Mode(), stat.Uid, stat.Gid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return text + " -> " + target, err
	case info.Mode().IsRegular():
		text = fmt.Sprintf("%s %d bytes", text, stat.Size)
		if changed := time.Unix(stat.Ctim.Unix()); changed.Before(l.booted) {
			return text + " " + changed.UTC().Format(time.RFC3339Nano), nil
		}
		sum, err := hash(path)
		return text + " " + sum, err
	}
	return text, nil
}

func hash(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	_, err = io.Copy(h, file)
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), err
}
