// Controllers on serial ports: socat is the cable, stty tells how the port is set.
export const packages = ['socat', 'coreutils'];
