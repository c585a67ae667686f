/**
 * The commands that start a controller, run once; every host's own start is answered from what came back. Hosts are
 * told of more data buffers than there are: the pool shares the real ones out (`acl-pool.ts`).
 */
import { RdvError } from '@rdv/protocol/core/errors';
import { command, commandComplete, Opcode, reversed, Status, u16le } from '../packets.js';
import { LINK_QUEUE_PACKETS } from './acl-pool.js';
import { type Job, send } from './command-queue.js';

/** All that noble and bleno ask for (they send the same two masks). */
const EVENT_MASK = [0xff, 0xff, 0xfb, 0xff, 0x07, 0xf8, 0xbf, 0x3d];
/** Connection Complete to Long Term Key Request: bleno knows no enhanced Connection Complete. */
const LE_EVENT_MASK = [0x1f, 0, 0, 0, 0, 0, 0, 0];
/** 251 bytes in 2120 µs (Core Vol 6 Part B §4.5.10): without it links stay at 27 bytes a packet. */
const DATA_LENGTH = [0xfb, 0x00, 0x48, 0x08];

export interface ControllerFacts {
  /** 6 bytes, most significant first. */
  readonly publicAddress: Uint8Array;
  /** The controller's data buffers, and the bytes each takes. */
  readonly aclBuffers: number;
  readonly aclBytes: number;
  /** What a host's own start commands are answered with, by opcode. */
  readonly answers: ReadonlyMap<number, Uint8Array>;
}

/** @throws RdvError `adapter` when the controller does not start */
export function* startController(reset: boolean): Job<ControllerFacts> {
  if (reset) yield* required(Opcode.reset, [], 0);
  const answers = new Map<number, Uint8Array>();
  answers.set(Opcode.setEventMask, yield* required(Opcode.setEventMask, EVENT_MASK, 0));
  answers.set(Opcode.leSetEventMask, yield* required(Opcode.leSetEventMask, LE_EVENT_MASK, 0));
  answers.set(Opcode.readLocalVersion, yield* required(Opcode.readLocalVersion, [], 8));
  // An LE-only controller may not know these two; nothing depends on them.
  yield* send(command(Opcode.writeLeHostSupport, [1, 0]));
  yield* send(command(Opcode.leWriteDefaultDataLength, DATA_LENGTH));
  answers.set(Opcode.writeLeHostSupport, commandComplete(Opcode.writeLeHostSupport, Status.ok));
  answers.set(Opcode.readLeHostSupport, commandComplete(Opcode.readLeHostSupport, Status.ok, [1, 0]));
  const address = yield* required(Opcode.readAddress, [], 6);
  answers.set(Opcode.readAddress, address);

  const le = yield* required(Opcode.leReadBufferSize, [], 3);
  let [aclBytes, aclBuffers] = [u16le(le, 7), le[9]!];
  if (aclBytes === 0 || aclBuffers === 0) {
    // No buffers of its own for LE: it shares those of BR/EDR (Core Vol 4 Part E §7.8.2).
    const shared = yield* required(Opcode.readBufferSize, [], 7);
    [aclBytes, aclBuffers] = [u16le(shared, 7), u16le(shared, 10)];
  }
  if (aclBytes < 27 || aclBuffers === 0)
    throw new RdvError('adapter', 'the controller has no data buffers: it cannot carry connections');
  const announced = [aclBytes & 0xff, aclBytes >> 8, LINK_QUEUE_PACKETS];
  answers.set(Opcode.leReadBufferSize, commandComplete(Opcode.leReadBufferSize, Status.ok, announced));
  return { publicAddress: reversed(address.subarray(7, 13)), aclBuffers, aclBytes, answers };
}

function* required(opcode: number, parameters: readonly number[], returnedBytes: number): Job<Uint8Array> {
  const { status, packet } = yield* send(command(opcode, parameters));
  const name = `0x${opcode.toString(16).padStart(4, '0')}`;
  if (status !== Status.ok)
    throw new RdvError(
      'adapter',
      `the controller refused to start (command ${name}, status ${status}): replug or reset it`,
    );
  if (packet.length < 7 + returnedBytes)
    throw new RdvError('adapter', `the controller answered too few bytes to command ${name}: replug or reset it`);
  return packet;
}
