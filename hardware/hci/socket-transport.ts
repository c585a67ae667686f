/** A controller behind a unix or TCP socket that speaks H4: a virtual air, or BlueZ's `btvirt`. */
import { connect, type Socket } from 'node:net';
import { RdvError } from '@rdv/protocol/core/errors';
import { streamTransport } from './stream-transport.js';
import type { HciTransport } from './transport.js';

export type SocketPlace = { readonly path: string } | { readonly host: string; readonly port: number };

/** How long a connection may take. */
const CONNECT_MS = 5000;

/**
 * Connects to the controller at `place`.
 * @throws RdvError `adapter`
 */
export function openSocketTransport(place: SocketPlace): Promise<HciTransport> {
  const where = 'path' in place ? place.path : `${place.host}:${place.port}`;
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(place);
    const fail = (cause: NodeJS.ErrnoException): void => {
      socket.destroy();
      const why = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED' ? 'nobody serves' : 'cannot reach';
      reject(new RdvError('adapter', `${why} a virtual adapter at ${where}: start the air there first`, { cause }));
    };
    socket.setTimeout(CONNECT_MS, () => fail(new Error('timed out')));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeListener('error', fail);
      socket.setNoDelay(true);
      resolve(streamTransport(socket));
    });
  });
}
