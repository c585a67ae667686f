// The beacon firmware: compilers for this machine and for its boards, an emulator of one, a cable, and those who find fault.
export const packages = [
  ...['gcc', 'libc6-dev', 'make', 'gcc-arm-none-eabi', 'qemu-system-arm', 'socat'],
  ...['clang', 'clang-tidy', 'libclang-rt-14-dev', 'cppcheck'],
];
