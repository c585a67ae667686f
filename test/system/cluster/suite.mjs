// Brokers that are several: a NATS cluster with JetStream behind its MQTT listener, and two mosquittos that bridge each other.
export const packages = ['nats-server', 'mosquitto'];
