// The namespace service on a database server: the same contracts as on SQLite, several processes, both of them killed.
export const packages = ['postgresql'];
