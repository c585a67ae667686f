// A stock Debian kernel in an emulated machine, with BlueZ. The kernel, BlueZ and busybox are fetched and unpacked by
// the suite: installed, they would change this machine. The compiler builds the native HCI socket and the relay.
export const packages = [
  ...['qemu-system-x86', 'gcc', 'g++', 'make', 'python3', 'libc6-dev', 'xz-utils', 'util-linux'],
  // What BlueZ's programs are linked with, and the bus that they meet on.
  ...['libdbus-1-3', 'libglib2.0-0', 'libreadline8', 'libasound2', 'libdw1', 'dbus', 'python3-dbus', 'python3-gi'],
];
