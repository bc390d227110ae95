#!/bin/bash
# Installs, upgrades, removes and purges the package $1, then $2 of a later version, with the dpkg of this system, in a
# copy-on-write view of it: nothing of this is left when the script ends. Prints what it looked at; the first thing wrong ends it.
#
# To be run in mount, network and process namespaces of its own, as the test beside it does:
#   unshare --mount --net --pid --fork install_test.sh OLD.deb NEW.deb
set -euo pipefail
old=$(realpath "$1") new=$(realpath "$2")

step() { echo "== $*"; }
wrong() {
	echo "WRONG: $*" >&2
	exit 1
}

# The view: / below, a file system in memory above, and of what isn't files only what the package's scripts need.
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay none -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cp "$old" /mnt/root/old.deb
cp "$new" /mnt/root/new.deb
mount -t proc none /mnt/root/proc
mount -t tmpfs none /mnt/root/run
mount -t tmpfs none /mnt/root/tmp
mount --bind /dev /mnt/root/dev
mkdir -p /mnt/root/sys/fs/bpf
mount -t bpf -o mode=0700 none /mnt/root/sys/fs/bpf # as systemd does
in_view() { chroot /mnt/root "$@"; }

[ ! -e /mnt/root/usr/bin/binrepd ] || wrong "binrepd is installed on this system: can't test its installation"
package() { in_view dpkg --force-confold "$@" >/mnt/dpkg.log 2>&1 || wrong "dpkg $*: $(cat /mnt/dpkg.log)"; }

step "install where no BPF filesystem is mounted, as in a chroot or an image build"
umount /mnt/root/sys/fs/bpf
mount -t sysfs -o ro none /mnt/root/sys
package -i /old.deb
in_view systemd-tmpfiles --create binrepd.conf || wrong "systemd-tmpfiles fails without a BPF filesystem"
package --purge binrepd
umount /mnt/root/sys
mount -t bpf -o mode=0700 none /mnt/root/sys/fs/bpf
cp "$old" /mnt/root/old.deb

step install
package -i /old.deb
in_view binrepd version
in_view id binrepd
[ "$(in_view stat -c '%U:%G %a' /run/binrepd /var/lib/binrepd | uniq)" = "binrepd:binrepd 750" ] || wrong "folders: $(in_view stat -c '%n %U:%G %a' /run/binrepd /var/lib/binrepd)"
in_view setpriv --reuid=binrepd --regid=binrepd --clear-groups test -w /sys/fs/bpf/binrepd || wrong "user binrepd can't pin"
grep -q 'set BINREPD_LISTEN' /mnt/dpkg.log || wrong "an installation doesn't say what to do next"
[ -z "$(find /mnt/root/etc/systemd -name '*binrepd*')" ] || wrong "it is enabled without having been asked"

step "what is installed works"
in_view systemd-analyze verify /usr/lib/systemd/system/binrepd.service
in_view systemd-analyze security --offline=true --threshold=25 --no-pager /usr/lib/systemd/system/binrepd.service | tail -1
in_view bash -c '. /usr/share/bash-completion/completions/binrepd && complete -p binrepd' >/dev/null
in_view man -w binrepd >/dev/null || wrong "no manual page"
in_view systemd-tmpfiles --create --dry-run binrepd.conf 2>/dev/null || in_view systemd-tmpfiles --create binrepd.conf

step "upgrade: settings stay, nothing is asked"
in_view systemctl --quiet enable binrepd.service
echo BINREPD_LISTEN=10.0.0.2:5556 >>/mnt/root/etc/default/binrepd
touch /mnt/root/var/lib/binrepd/saved
package -i /new.deb
grep -q 'set BINREPD_LISTEN' /mnt/dpkg.log && wrong "an upgrade speaks as if it were an installation"
grep -qx BINREPD_LISTEN=10.0.0.2:5556 /mnt/root/etc/default/binrepd || wrong "the settings are lost"
[ -e /mnt/root/var/lib/binrepd/saved ] || wrong "a saved file is lost"
[ "$(in_view systemctl is-enabled binrepd.service)" = enabled ] || wrong "no longer enabled"

step "remove: settings and state stay, the rest goes"
package -r binrepd
[ ! -e /mnt/root/usr/bin/binrepd ] || wrong "the program is still there"
[ -e /mnt/root/etc/default/binrepd ] || wrong "the settings are gone"
[ -e /mnt/root/var/lib/binrepd/saved ] || wrong "the state is gone"
[ -z "$(find /mnt/root/etc/systemd -name '*binrepd*')" ] || wrong "still enabled"

step "purge after removal, and at once: nothing stays"
nothing() {
	rm -f /mnt/root/old.deb /mnt/root/new.deb
	# What is hidden of the system below is a character device. Caches have their own ways of forgetting.
	left=$(cd /mnt/upper && find . /mnt/root/run /mnt/root/sys -name '*binrepd*' ! -type c ! -path './var/cache/*')
	[ -z "$left" ] || wrong "left: $left"
	# Accounts, dpkg's database: the name is nowhere but in logs, and in the copies that tools keep of what was before.
	cd /mnt/upper
	left=$(grep -rlI binrepd . | { grep -vxE './var/(log|cache)/.*|./etc/(passwd|group|shadow|gshadow|subuid|subgid)-|./var/lib/dpkg/(status|available|diversions)-old' || true; })
	cd /
	[ -z "$left" ] || wrong "still named in: $left"
	in_view id binrepd 2>/dev/null && wrong "the user is left"
	in_view getent group binrepd && wrong "the group is left"
	return 0
}
package --purge binrepd
nothing
cp "$new" /mnt/root/new.deb
package -i /new.deb
package --purge binrepd
nothing

echo "== passed"
