"""What an administrator does on the lab's dom0 instead: a clone by hand, and xen-create-image; each up to ``xl create``.

Both use the image, the kernel, the RAM disk and the sizes that Domus uses. The scripts run in dom0.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.lab_house import HOST_LIMIT_SECONDS, Knock
from domus_lab.machine import THIN_POOL, VOLUME_GROUP, LabMachine

NAME = "peer"
ADDRESS = "192.0.2.251"
KEY = "/root/order_key.pub"
BOOT = "/var/lib/domus/boot"
TREE = "/root/tree.tar"

_COMMON = f"""
set -eu
export LC_ALL=C
vg={VOLUME_GROUP} pool={THIN_POOL} name={NAME} address={ADDRESS} memory=$1 root_mib=$2 swap_mib=$3
root=/dev/$vg/$name-root swap=/dev/$vg/$name-swap mnt=/mnt/$name
"""

#: Copies no block that the image does not use; dd would be slower.
_BY_IMAGE = """
lvcreate -q -y -n $name-root -L ${root_mib}m $vg > /dev/null
lvcreate -q -y -n $name-swap -L ${swap_mib}m $vg > /dev/null
e2image -ra "$image" $root 2> /dev/null
"""
_BY_SNAPSHOT = """
lvcreate -q -y -s -kn -n $name-root $vg/"$image" > /dev/null
lvextend -q -L ${root_mib}m $vg/$name-root > /dev/null
lvcreate -q -y -n $name-swap -V ${swap_mib}m --thinpool $pool $vg > /dev/null
"""
_CUSTOMISE = f"""
resize2fs $root 2> /dev/null
mkswap -L swap $swap > /dev/null
mkdir -p $mnt
mount -o noatime $root $mnt
echo $name > $mnt/etc/hostname
printf '127.0.0.1 localhost\\n%s %s.example.org %s\\n' $address $name $name > $mnt/etc/hosts
echo 'nameserver 192.0.2.1' > $mnt/etc/resolv.conf
cat > $mnt/etc/network/interfaces << END
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address $address/24
    gateway 192.0.2.1
END
printf 'LABEL=root / ext4 defaults,errors=remount-ro 0 1\\nLABEL=swap none swap sw 0 0\\n' > $mnt/etc/fstab
tr -d - < /proc/sys/kernel/random/uuid > $mnt/etc/machine-id
for kind in ed25519 ecdsa; do
    rm -f $mnt/etc/ssh/ssh_host_${{kind}}_key*
    ssh-keygen -q -t $kind -N '' -C root@$name -f $mnt/etc/ssh/ssh_host_${{kind}}_key
done
mkdir -m 0700 -p $mnt/root/.ssh
cp {KEY} $mnt/root/.ssh/authorized_keys
sed -i 's|^root:[^:]*:|root:$6$saltsalt$unknown:|' $mnt/etc/shadow
umount $mnt
cat > /etc/xen/$name.cfg << END
name = "$name"
type = "pv"
kernel = "{BOOT}/vmlinuz"
ramdisk = "{BOOT}/initrd.img"
cmdline = "root=/dev/xvda1 ro console=hvc0 net.ifnames=0"
memory = $memory
vcpus = 1
disk = ["phy:$root,xvda1,w", "phy:$swap,xvda2,w"]
vif = ["mac=00:16:3e:00:00:fb,bridge=xenbr0"]
END
xl create -q /etc/xen/$name.cfg
"""
#: Told not to use pygrub, it writes a bare 0 in the place of the kernel.
_XEN_TOOLS = f"""
xen-create-image --hostname=$name --lvm=$vg --install-method=tar --install-source={TREE} --size=${{root_mib}}M \
    --swap=${{swap_mib}}M --memory=${{memory}}M --ip=$address --netmask=255.255.255.0 --gateway=192.0.2.1 \
    --dist=bookworm --fs=ext4 --genpass=0 --nohosts --force --arch=amd64 --nopygrub \
    --mirror=http://mirror.example.org/debian --kernel={BOOT}/vmlinuz --initrd={BOOT}/initrd.img > /root/xen-tools.out 2>&1 \
    || {{ tail -n 30 /root/xen-tools.out; exit 1; }}
sed -i '/^0$/d' /etc/xen/$name.cfg
cat >> /etc/xen/$name.cfg << END
kernel = "{BOOT}/vmlinuz"
ramdisk = "{BOOT}/initrd.img"
extra = "console=hvc0 net.ifnames=0"
END
xl create -q /etc/xen/$name.cfg
"""
#: Debian's configuration has bookworm boot by pygrub with a kernel of its own, which the image does not hold.
_XEN_TOOLS_CONFIGURATION = """
sed -i 's/ pygrub//' /etc/xen-tools/distributions.conf
printf 'fs = ext4\\ndist = bookworm\\ninstall-method = tar\\n' > /etc/xen-tools/xen-tools.conf
"""
#: The guest that somebody finished by hand before, packed: with keys, so that its sshd starts.
_PACK_TREE = f"""
mkdir -p /mnt/tree
mount -o loop,noload,ro "$image" /mnt/tree
mkdir -p /root/added/etc/ssh /root/added/root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/added/etc/ssh/ssh_host_ed25519_key
cp {KEY} /root/added/root/.ssh/authorized_keys
chmod 0700 /root/added/root /root/added/root/.ssh
tar --numeric-owner --exclude=./lost+found -C /mnt/tree -cf {TREE} .
tar --numeric-owner --owner=0 --group=0 -C /root/added -rf {TREE} .
umount /mnt/tree
"""
_REMOVE = """
xl destroy $name 2> /dev/null || true
rm -f /etc/xen/$name.cfg
for volume in $name-root $name-swap $name-disk; do
    if [ -e /dev/$vg/$volume ]; then lvremove -q -y $vg/$volume > /dev/null; fi
done
"""


@dataclass(frozen=True)
class Sizes:
    """How large the guest is."""

    memory_mib: int
    disk_mib: int
    swap_mib: int


class ByHand:
    """Makes and removes the one guest of an administrator."""

    def __init__(self, dom0: LabMachine, sizes: Sizes) -> None:
        self._dom0 = dom0
        self._words = [str(sizes.memory_mib), str(sizes.disk_mib), str(sizes.swap_mib)]

    def clone_image(self, image: str) -> float:
        """Return the seconds from nothing to sshd's greeting: a copy of an image on thick volumes."""
        return self._seconds(f"image={image}\n{_BY_IMAGE}{_CUSTOMISE}")

    def clone_snapshot(self, golden: str) -> float:
        """Return the same by a snapshot of a thin volume."""
        return self._seconds(f"image={golden}\n{_BY_SNAPSHOT}{_CUSTOMISE}")

    def prepare_xen_tools(self, image: str) -> None:
        """Pack the image's tree for xen-create-image."""
        self._run(f"image={image}\n{_PACK_TREE}{_XEN_TOOLS_CONFIGURATION}")

    def xen_create_image(self) -> float:
        """Return the same by xen-create-image from a tar of the image's tree."""
        return self._seconds(_XEN_TOOLS)

    def _seconds(self, script: str) -> float:
        with Knock(self._dom0, ADDRESS) as knock:
            started = time.monotonic()
            self._run(script)
            seconds = knock.answered() - started
        self._run(_REMOVE)
        return seconds

    def _run(self, script: str) -> None:
        words = ["sh", "-s", "--", *self._words]
        self._dom0.run(words, stdin=f"{_COMMON}{script}".encode(), timeout_seconds=HOST_LIMIT_SECONDS)
