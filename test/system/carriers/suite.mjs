// Figures of what carriers see, and of what hostile ones can do. A broker beside the service of our own.
export const packages = ['mosquitto'];
