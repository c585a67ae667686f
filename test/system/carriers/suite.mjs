// Figures of what carriers see, and of what hostile ones can do. Nothing but Node.
export const packages = [];
