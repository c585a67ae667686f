// The namespace service as its own process: killed and started again, filled up, flooded, and lied to by others.
export const packages = [];
