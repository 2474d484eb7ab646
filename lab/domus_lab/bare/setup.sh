#!/bin/sh
# Runs inside the fresh tree of the bare Debian, natively, at image build.
set -eu
export LC_ALL=C

# --- Salt, as docs/install.md sets it up on a dom0 ------------------------------------------------------------------
# System packages are visible for libvirt alone: its Python binding comes from Debian, later.
python3 -m venv --system-site-packages /opt/salt
/opt/salt/bin/pip install --quiet --no-index --find-links /root/wheels --no-cache-dir salt
rm -r /root/wheels
ln -s /opt/salt/bin/salt-call /opt/salt/bin/salt-minion /usr/local/bin/
install -d -m 0755 /etc/salt/minion.d

# --- the initial RAM disk -------------------------------------------------------------------------------------------
# Of the few drivers that this machine and its guests need (files/etc/initramfs-tools): Debian's own hold every driver there
# is, slow to unpack under emulation. It is not made again there, which would take more than ten minutes.
kernel=$(ls /lib/modules)
sed -i 's/^update_initramfs=.*/update_initramfs=yes/' /etc/initramfs-tools/update-initramfs.conf
update-initramfs -u -k "$kernel"
sed -i 's/^update_initramfs=.*/update_initramfs=no/' /etc/initramfs-tools/update-initramfs.conf

# The disk of this machine is thrown away with it.
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/domus-lab

# --- services -------------------------------------------------------------------------------------------------------
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer getty@tty1.service; do
    systemctl mask "$unit" 2> /dev/null
done
systemctl disable salt-minion.service 2> /dev/null || true
systemd-machine-id-setup
# Keys made here are made natively; under emulation an RSA key alone takes many seconds.
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
chmod 0700 /root /root/.ssh
chmod 0600 /root/.ssh/authorized_keys
