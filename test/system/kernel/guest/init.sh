#!/bin/busybox sh
# The first process of the emulated machine. Its root is the host's, read-only, under a layer in memory: every path is
# the host's own. Then it runs what it is told on the agent's port, one line a command (see machine.ts).
B=/bin/busybox
$B mkdir -p /proc /sys /dev /host /layer /new
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
while read -r module; do
  $B insmod "/modules/$module" || $B echo "cannot load $module" >/dev/console
done </modules/order
NINEP=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o $NINEP,ro,cache=loose host /host || $B echo "no host files" >/dev/console
$B mount -t tmpfs -o size=512m layer /layer
$B mkdir /layer/upper /layer/work
$B mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /new || $B echo "no root" >/dev/console
for place in proc sys dev; do $B mount --move /$place /new/$place; done
for place in run var/lib/bluetooth; do
  $B mkdir -p /new/$place
  $B mount -t tmpfs -o mode=755 fresh /new/$place
done
$B mkdir -p /new/run/out /new/dev/pts /new/dev/shm
$B mount -t devpts devpts /new/dev/pts
$B mount -t tmpfs shm /new/dev/shm
$B mount -t 9p -o $NINEP out /new/run/out || $B echo "no place for results" >/dev/console
$B cp $B /new/run/busybox
$B echo "root is up after $($B cut -d" " -f1 /new/proc/uptime) s" >/new/dev/console
exec $B switch_root /new /run/busybox sh /run/out/agent.sh
