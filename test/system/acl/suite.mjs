// Brokers that nobody here wrote, with the rules of `rdv acl`, and strangers at their door.
export const packages = ['mosquitto', 'mosquitto-clients', 'nats-server'];
