/**
 * `rdv boards`: the beacon boards at the serial ports. Only boards that are known by their USB ids, and ports that are
 * named, are asked: a question in a foreign protocol would confuse other devices (an HCI dongle needs a reset after it).
 */
import type { Board } from '@rdv/hardware/companion/board';
import { CAPABILITY_BITS, type Capability } from '@rdv/hardware/companion/codes';
import { listSerialPorts, type SerialPortInfo } from '@rdv/hardware/hci/serial-port';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { BoardPart } from '../node/kept-board.js';
import { deviceOf, keptByNode, openPort } from './board-port.js';
import type { Command } from './commander.js';
import { table } from './output.js';
import { type CommonOptions, outputOf, withCommonOptions } from './shared.js';

interface BoardsOptions extends CommonOptions {
  readonly all?: boolean;
}

const CAPABILITIES = Object.keys(CAPABILITY_BITS) as Capability[];
/** vendor:product. */
const KNOWN_BOARDS: ReadonlySet<string> = new Set([
  // BBC micro:bit, by its DAPLink interface.
  '0d28:0204',
]);

interface BoardLine {
  readonly port: string;
  readonly answer: 'board' | 'none' | 'not-asked';
  readonly usb?: string | undefined;
  /** Under this name a node's configuration finds it again. */
  readonly lasting?: string | undefined;
  /** The running node has it, and said this. */
  readonly kept?: boolean;
  readonly why?: string;
  readonly board?: string;
  readonly firmware?: string;
  readonly deviceId?: string;
  readonly capabilities?: readonly string[];
  readonly tag?: 'none' | 'carried' | 'stopped';
  readonly onAir?: string;
  readonly clock?: { readonly confidence: string; readonly errorSeconds?: number };
  readonly batteryMv?: number | undefined;
  readonly uptimeSeconds?: number;
  readonly label?: string;
}

async function describe(board: Board): Promise<Omit<BoardLine, 'port' | 'answer'>> {
  const identity = await board.identity();
  const status = await board.status();
  const { confidence, unixMs } = status.clock;
  return {
    board: identity.board,
    firmware: identity.firmware,
    deviceId: toHex(identity.deviceId),
    capabilities: CAPABILITIES.filter((what) => board.can(what)),
    tag: !status.provisioned ? 'none' : status.stopped ? 'stopped' : 'carried',
    onAir: status.onAir,
    clock: {
      confidence,
      ...(confidence === 'lost' ? {} : { errorSeconds: Math.round((unixMs - Date.now()) / 100) / 10 }),
    },
    batteryMv: status.batteryMv,
    uptimeSeconds: status.uptimeSeconds,
    ...(status.provisioned ? { label: toHex(status.label) } : {}),
  };
}

const usbOf = ({ vendorId, productId }: SerialPortInfo): string | undefined =>
  vendorId && productId ? `${vendorId}:${productId}`.toLowerCase() : undefined;

async function ask(info: SerialPortInfo, options: BoardsOptions): Promise<BoardLine> {
  const known = { port: info.path, usb: usbOf(info), lasting: info.lasting };
  let board: Board | undefined;
  try {
    board = await openPort(info.path, options);
    return { ...known, answer: 'board', ...(await describe(board)) };
  } catch (error) {
    return { ...known, answer: 'none', why: toRdvError(error).message };
  } finally {
    await board?.close();
  }
}

function fromNode({
  port,
  state,
  why,
  board,
  firmware,
  carries,
  onAir,
  batteryMv,
  clockErrorMs,
}: BoardPart): BoardLine {
  if (state === 'away') return { port, answer: 'none', kept: true, ...(why === undefined ? {} : { why }) };
  return {
    port,
    answer: 'board',
    kept: true,
    ...(board === undefined ? {} : { board }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(carries === undefined ? {} : { tag: carries ? 'carried' : 'none' }),
    ...(onAir === undefined ? {} : { onAir }),
    batteryMv,
    clock: {
      confidence: 'set',
      ...(clockErrorMs === undefined ? {} : { errorSeconds: Math.round(clockErrorMs / 100) / 10 }),
    },
  };
}

function row(line: BoardLine): string[] {
  if (line.answer !== 'board') {
    const why = line.answer === 'not-asked' ? `not asked: "rdv boards ${line.port}" asks it` : (line.why ?? '');
    return [line.port, '-', '-', '-', '-', '-', why];
  }
  const error = line.clock?.errorSeconds;
  return [
    line.port,
    line.board ?? '',
    line.firmware ?? '',
    line.tag ?? '',
    line.batteryMv === undefined ? '-' : `${(line.batteryMv / 1000).toFixed(2)} V`,
    line.onAir ?? '',
    error === undefined
      ? 'clock lost'
      : `clock ${error < 0 ? '' : '+'}${error.toFixed(1)} s (${line.clock?.confidence})`,
  ];
}

async function boards(named: readonly string[], options: BoardsOptions): Promise<void> {
  const out = outputOf(options);
  let listed: readonly SerialPortInfo[] = [];
  if (named.length === 0) {
    try {
      listed = await listSerialPorts();
    } catch (error) {
      out.progress('not-listed', {}, toRdvError(error).message);
    }
  }
  const kept = await keptByNode(options);
  const ports: SerialPortInfo[] = named.length > 0 ? named.map((path) => ({ path })) : [...listed];
  if (named.length === 0) {
    const devices = new Set(listed.map(({ path }) => deviceOf(path)));
    for (const [device, { port }] of kept) if (!devices.has(device)) ports.push({ path: port });
  }
  // At once: a port where nobody answers takes seconds.
  const lines = await Promise.all(
    ports.map((info): Promise<BoardLine> | BoardLine => {
      const part = kept.get(deviceOf(info.path));
      if (part) return { ...fromNode(part), port: info.path };
      const usb = usbOf(info);
      const asked = named.length > 0 || options.all || (usb !== undefined && KNOWN_BOARDS.has(usb));
      return asked ? ask(info, options) : { port: info.path, answer: 'not-asked', usb, lasting: info.lasting };
    }),
  );
  const header = ['PORT', 'BOARD', 'FIRMWARE', 'TAG', 'BATTERY', 'ON AIR', 'CLOCK'];
  const lasting = lines.flatMap(({ answer, port, lasting: name }) =>
    answer === 'board' && name ? [`for a node's configuration ${port} is ${name}`] : [],
  );
  out.result(
    lines,
    lines.length === 0
      ? 'no serial ports: plug a board in, or name its port'
      : [table(header, lines.map(row)), ...lasting].join('\n'),
  );
  // Who names a port wants a board there; a script sees it by the exit code.
  const absent = named.length > 0 ? lines.filter(({ answer }) => answer === 'none') : [];
  if (absent.length > 0) {
    const [{ port, why }] = absent as [BoardLine];
    const others = absent.length > 1 ? ` (and on ${absent.length - 1} more of those named)` : '';
    throw new RdvError('unreachable', `no board answers on ${port}${others}${why === undefined ? '' : `: ${why}`}`);
  }
}

export function boardsCommand(command: Command): Command {
  return withCommonOptions(command)
    .argument('[port...]', 'ask these, also those that the system does not list')
    .description('list attached beacon boards')
    .option('--all', 'ask every serial port: not with other devices attached, which the question may confuse')
    .action(boards);
}
