package bpf

// The object and its bindings are committed, so that a build needs no clang. They are built with clang-16 and the
// headers of Debian 12 (libbpf-dev, linux-libc-dev). sources.sha256 records the sources they were built from, and a
// test compares them.
//
//go:generate go tool bpf2go -cc clang-16 -strip llvm-strip-16 -target bpfel -go-package bpf -output-suffix= -type record -type verdict -type limit -type address -type counters -type sleeper -type bucket binrepd src/binrepd.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate sh -c "cd src && LC_ALL=C sha256sum *.c *.h > ../sources.sha256"
