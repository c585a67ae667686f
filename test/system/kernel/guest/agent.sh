# Runs /run/out/ID.sh for each line ID on the agent's port and answers "ID STATUS". Prepares the machine before.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
B=/run/busybox
$B ip link set lo up
$B ip addr add 10.0.2.15/24 dev eth0 && $B ip link set eth0 up && $B ip route add default via 10.0.2.2
# The first number depends on what else is plugged in.
for port in /dev/vport*p*; do ln -s "$port" "/dev/port${port##*p}"; done
. /run/out/prepare.sh >/dev/console 2>&1
exec 3<>/dev/port1
echo "ready $($B cut -d' ' -f1 /proc/uptime)" >&3
while read -r id <&3; do
  (
    /usr/bin/setsid /bin/bash "/run/out/$id.sh" >"/run/out/$id.log" 2>&1 </dev/null 3>&-
    echo "$id $?" >&3
  ) &
done
