package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// PermissionError says that the kernel refused because a privilege is missing. It satisfies errors.Is(err,
// fs.ErrPermission).
type PermissionError struct {
	// Op is the refused operation.
	Op string
	// Missing names the capabilities that the process lacks, such as "CAP_BPF". It is empty when the process has all of
	// them and was refused anyway, as happens inside a user namespace.
	Missing []string
	// Err is the error from the kernel.
	Err error
}

// Error gives the kernel's error alone. The library adds advice for its callers ("consider rlimit.RemoveMemlock") that
// doesn't apply here, and that users of a program can't follow.
func (e *PermissionError) Error() string {
	cause := e.Err
	if number := unix.Errno(0); errors.As(e.Err, &number) {
		cause = number
	}
	if len(e.Missing) == 0 {
		return fmt.Sprintf("%s: %v, though no capability is missing: a user namespace, seccomp or lockdown forbids it", e.Op, cause)
	}
	return fmt.Sprintf("%s: %v: %s missing", e.Op, cause, strings.Join(e.Missing, ", "))
}

func (e *PermissionError) Unwrap() error { return e.Err }

// Is reports that the error matches fs.ErrPermission.
func (e *PermissionError) Is(target error) bool { return target == fs.ErrPermission }

// RingMemoryError says that the kernel has no memory for the rings, or that the limit of a control group is reached.
type RingMemoryError struct {
	Rings, RingSize int
	Err             error // from the kernel
}

func (e *RingMemoryError) Error() string {
	return fmt.Sprintf("no memory for %d ring buffers of %d KiB each: %v; choose a smaller --ring-size, or fewer --rings", e.Rings, e.RingSize>>10, unix.ENOMEM)
}

func (e *RingMemoryError) Unwrap() error { return e.Err }

// UnsupportedError says that the kernel or the driver can't do what was asked. It satisfies
// errors.Is(err, errors.ErrUnsupported).
type UnsupportedError struct {
	// What is not supported, such as "native XDP on eth0".
	What string
	// Err is the error from the kernel, or nil.
	Err error
}

func (e *UnsupportedError) Error() string {
	if e.Err == nil {
		return e.What + " is not supported"
	}
	return fmt.Sprintf("%s is not supported: %v", e.What, e.Err)
}

func (e *UnsupportedError) Unwrap() error { return e.Err }

// Is reports that the error matches errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// ForeignProgramError says that an interface already has an XDP program of another owner. That program is left alone.
type ForeignProgramError struct {
	Interface string
	ForeignProgram
}

func (e *ForeignProgramError) Error() string {
	name := e.Name
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("%s has another XDP program: id %d, name %s, mode %s", e.Interface, e.ID, name, e.Mode)
}

// ForeignProgram is an XDP program of another owner.
type ForeignProgram struct {
	ID uint32 `json:"id"`
	// Name is empty if the process lacks the privilege to read it (CAP_SYS_ADMIN).
	Name string `json:"name"`
	Mode Mode   `json:"mode"`
}

// permission turns err into a PermissionError if a privilege is missing. Otherwise it wraps err.
func permission(op string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		// The verifier also returns EACCES, for a program that it rejects. If no capability is missing, that is the
		// cause, so the error is reported unchanged.
		missing := MissingCapabilities()
		if len(missing) > 0 || errors.Is(err, unix.EPERM) {
			return &PermissionError{Op: op, Missing: missing, Err: err}
		}
	}
	return fmt.Errorf("%s: %w", op, err)
}
