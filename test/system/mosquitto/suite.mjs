// A broker and clients that nobody here wrote; openssl makes the certificates.
export const packages = ['mosquitto', 'mosquitto-clients', 'openssl'];
