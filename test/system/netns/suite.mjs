// Hosts, switches and lossy links of the kernel's own: network namespaces, veth, bridges, and a relay in user space.
export const packages = ['iproute2', 'ethtool', 'python3-minimal', 'mosquitto'];
