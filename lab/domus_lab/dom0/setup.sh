#!/bin/sh
# Runs inside the fresh dom0 tree, natively, at image build: everything here would take minutes under emulation.
set -eu
export LC_ALL=C

# --- Salt, from wheels that were built once on the host -------------------------------------------------------------
# System packages are visible for libvirt alone: its Python binding comes from Debian.
python3 -m venv --system-site-packages /opt/salt
/opt/salt/bin/pip install --quiet --no-index --find-links /root/wheels --no-cache-dir salt
rm -r /root/wheels
ln -s /opt/salt/bin/salt-call /opt/salt/bin/salt-minion /usr/local/bin/
install -d -m 0755 /etc/salt/minion.d
# xenconsoled makes no folder: without this one there are no console logs.
install -d -m 0755 /var/log/xen/console

# --- initial RAM disks ----------------------------------------------------------------------------------------------
# Debian's own hold every driver there is (34 MB): slow to unpack under emulation, and too big for a guest of 256 MB.
make_initrd() { # path, modules
    conf=$(mktemp -d)
    cp -r /etc/initramfs-tools/. "$conf"
    rm -f "$conf/conf.d/xen-tools"
    printf 'MODULES=list\nCOMPRESS=zstd\n' > "$conf/conf.d/domus"
    shift_path=$1; shift
    printf '%s\n' "$@" > "$conf/modules"
    mkinitramfs -d "$conf" -o "$shift_path" "$kernel"
    rm -r "$conf"
}
kernel=$(ls /lib/modules)
install -d -m 0755 /var/lib/domus/boot
make_initrd /boot/initrd-lab.img virtio_pci virtio_blk virtio_net virtio_rng ext4 crc32c
make_initrd /var/lib/domus/boot/initrd.img xen-blkfront xen-netfront ext4 crc32c
cp "/boot/vmlinuz-$kernel" /var/lib/domus/boot/vmlinuz
rm -f "/boot/initrd.img-$kernel"

# --- services -------------------------------------------------------------------------------------------------------
# Not wanted in a disposable machine: timers, and saving or stopping guests when dom0 goes down.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer logrotate.timer libvirt-guests.service xendomains.service getty@tty1.service; do
    systemctl mask "$unit" 2> /dev/null
done
systemctl disable salt-minion.service 2> /dev/null || true
# A machine id from the start spares the first boot its run over all units.
systemd-machine-id-setup
# Keys made here are made natively; under emulation an RSA key alone takes many seconds.
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
chmod 0700 /root /root/.ssh
chmod 0600 /root/.ssh/authorized_keys
