// One scenario over every namespace and every bridged pair of them: a broker that nobody here wrote, a namespace service,
// datagrams, and noble and bleno on the virtual air.
export const packages = ['mosquitto', 'mosquitto-clients', 'openssl'];
