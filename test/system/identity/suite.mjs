// Keys and certificates by their usual makers, an agent that holds keys, and a reader of QR codes that nobody here wrote.
export const packages = ['openssl', 'openssh-client', 'ca-certificates', 'zbar-tools'];
