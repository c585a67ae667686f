/**
 * The tables of the namespace service. `head` is one row that every writer changes: it numbers what comes in, and
 * because it is locked until the commit, numbers become visible in their order, also with several processes.
 */

/** Words that differ between the two databases. */
export interface Dialect {
  readonly bytes: string;
  readonly integer: string;
  /** After the closing bracket of a table. */
  readonly table: string;
}

export const SQLITE: Dialect = { bytes: 'BLOB', integer: 'INTEGER', table: ' STRICT' };
export const POSTGRES: Dialect = { bytes: 'BYTEA', integer: 'BIGINT', table: '' };

/** Version 1, as statements to be run in one transaction. */
export function schema({ bytes, integer, table }: Dialect): readonly string[] {
  return [
    // One row. `salt` makes addresses unreadable; the others are totals, so that limits cost no counting.
    `CREATE TABLE head (salt ${bytes} NOT NULL, n ${integer} NOT NULL, records ${integer} NOT NULL,
      bytes ${integer} NOT NULL, held ${integer} NOT NULL)${table}`,
    `CREATE TABLE record (id ${bytes} NOT NULL, owner ${bytes} NOT NULL, seq ${integer} NOT NULL,
      not_after ${integer} NOT NULL, tombstone ${integer} NOT NULL, client ${bytes} NOT NULL,
      address ${bytes} NOT NULL, renewed ${integer} NOT NULL, bytes ${bytes} NOT NULL, PRIMARY KEY (id, owner))${table}`,
    'CREATE INDEX record_not_after ON record (not_after)',
    // `sender` is whoever sent it, as a salted hash of the address: it answers for the room.
    `CREATE TABLE frame (n ${integer} PRIMARY KEY NOT NULL, queue ${bytes} NOT NULL, frame ${bytes} NOT NULL,
      sender ${bytes} NOT NULL, expires ${integer} NOT NULL)${table}`,
    'CREATE INDEX frame_queue ON frame (queue, n)',
    'CREATE INDEX frame_sender ON frame (sender, n)',
    'CREATE INDEX frame_expires ON frame (expires)',
    `CREATE TABLE sender (sender ${bytes} PRIMARY KEY NOT NULL, bytes ${integer} NOT NULL)${table}`,
    // Where a client of the WebSocket link stands in a queue that it holds.
    `CREATE TABLE held (session ${bytes} NOT NULL, queue ${bytes} NOT NULL, after ${integer} NOT NULL,
      seen ${integer} NOT NULL, address ${bytes} NOT NULL, PRIMARY KEY (session, queue))${table}`,
    'CREATE INDEX held_seen ON held (seen)',
    // How many places each address has.
    `CREATE TABLE holder (address ${bytes} PRIMARY KEY NOT NULL, places ${integer} NOT NULL)${table}`,
  ];
}
