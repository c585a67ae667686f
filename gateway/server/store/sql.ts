/**
 * The little of SQL that the namespace service needs, the same on SQLite and on PostgreSQL: one batch of operations in
 * one transaction. What the statements say is `operations.ts`; who runs them is `sqlite-thread.ts` and
 * `postgres-database.ts`.
 */

export type SqlValue = Uint8Array | number;

/** Columns by name; integers are numbers (below 2^53), bytes are `Uint8Array`. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface Sql {
  /** Rows of `statement`, whose parameters are written `?`. Within the transaction of the batch. */
  all(statement: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
  /** Appended to what locks the one row that all writers change: ` FOR UPDATE`, or nothing. */
  readonly forUpdate: string;
}

/** `?, ?, ?` */
export function marks(count: number): string {
  return new Array(count).fill('?').join(', ');
}

export function numberOf(value: SqlValue | undefined): number {
  if (typeof value !== 'number') throw new TypeError('not a number');
  return value;
}

export function bytesOf(value: SqlValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('not bytes');
  return value;
}
