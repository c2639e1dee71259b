//go:build linux || darwin || freebsd

package bus

import "golang.org/x/sys/unix"

// freeDisk is how many bytes an unprivileged user may still write to the file system of dir. ok is false when that is not known.
func freeDisk(dir string) (free int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
