// BlueZ's own software controllers, as a second opinion on the virtual air's. btvirt itself is fetched and unpacked by
// the suite; the compiler makes the shim that lets it run beside others and without a kernel's help.
export const packages = ['gcc', 'libc6-dev'];
