/**
 * `rdv provision PORT TAG`: puts a tag on a beacon that is attached by a serial port, and listens for it when there is a
 * radio. From then on the beacon needs nobody but a battery.
 */
import type { Board, ProvisionResult } from '@rdv/hardware/companion/board';
import { ADVERT_FORMATS, type AdvertFormat } from '@rdv/hardware/companion/codes';
import { systemClock } from '@rdv/hardware/host/system';
import { toHex } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { InvalidArgumentError, RdvError, TimeoutError, throwIfAborted, toRdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import type { BeaconHeard } from '../node/api.js';
import { guardClock } from '../node/clock-guard.js';
import { nodeAnswers } from '../node/control-server.js';
import { nodePaths } from '../node/paths.js';
import { deviceOf, keptByNode, openPort } from './board-port.js';
import { type Command, Option } from './commander.js';
import type { Output } from './output.js';
import { openNodeApi, outputOf, type TagOptions, untilInterrupted, withTagOptions } from './shared.js';
import { readTag } from './tag-input.js';

interface ProvisionOptions extends TagOptions {
  readonly power: string;
  readonly calibrated?: string;
  readonly interval: string;
  readonly format: AdvertFormat;
  readonly k: string;
  readonly resume?: boolean;
  readonly forceTime?: boolean;
  readonly trustClock?: boolean;
  readonly adapter?: string;
  readonly erase?: boolean;
}

/** A passive scan hears an advert in a few intervals; a busy air takes some more. */
const HEARD_DEADLINE_MS = 10_000;
const HEARD_INTERVALS = 6;

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`${name} expects ${min} to ${max}, got "${text}"`);
  }
  return value;
}

/** What is said on the command line, checked before anything happens. */
function settingsOf(options: ProvisionOptions) {
  return {
    exponent: integer('--k', options.k, 0, 15),
    format: options.format,
    resume: options.resume === true,
    txDbm: integer('--power', options.power, -40, 20),
    calibratedDbm: options.calibrated === undefined ? undefined : integer('--calibrated', options.calibrated, -100, 20),
    intervalMs: integer('--interval', options.interval, 100, 10_240),
  };
}

function assertClock(trust: boolean): void {
  const ports = { clock: systemClock, store: new MemoryStore(), log: silentLogger };
  const guard = guardClock(ports, { trust });
  const { doubt } = guard;
  guard.close();
  if (doubt) {
    throw new RdvError(
      'clock',
      `the beacon would get a wrong time, for this machine's clock cannot be believed: ${doubt}; set it, or use --trust-clock`,
    );
  }
}

async function beaconKeyOf(tag: string, realm: string): Promise<Uint8Array> {
  const secret = await TagSecret.fromTag(await parseAnyTag(tag), realmOf(realm));
  const key = secret.beaconKey.slice();
  secret.wipe();
  return key;
}

/** Listens for the tag until the board's own advert is heard: not another beacon of the same tag, which takes connections. */
async function hear(
  tag: { readonly text: string; readonly realm: string; readonly exponent: number },
  options: ProvisionOptions,
  intervalMs: number,
  interrupted: AbortSignal,
): Promise<BeaconHeard> {
  const { api } = await openNodeApi(options, { store: false, namespaces: false });
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  interrupted.addEventListener('abort', stop);
  const timer = setTimeout(stop, Math.max(HEARD_DEADLINE_MS, HEARD_INTERVALS * intervalMs));
  let found: BeaconHeard | undefined;
  try {
    await api.scan(
      { tags: [{ text: tag.text, realm: tag.realm, beacon: { offsetSeconds: 0, exponent: tag.exponent } }] },
      (heard) => {
        if (heard.tag === undefined || heard.format !== options.format || heard.connectable) return;
        found ??= heard;
        stop();
      },
      enough.signal,
    );
  } finally {
    clearTimeout(timer);
    await api.close();
  }
  if (found) return found;
  throwIfAborted(interrupted);
  throw new TimeoutError(
    'the board carries the tag, but it is not heard: bring it nearer to the adapter, give more --power, or look at its antenna',
  );
}

async function erase(board: Board, out: Output): Promise<void> {
  await board.erase();
  out.result({ port: board.name, erased: true }, `${board.name}: the tag is gone from it, key and all`);
}

async function provision(port: string, argument: string | undefined, said: ProvisionOptions): Promise<void> {
  const out = outputOf(said);
  const settings = settingsOf(said);
  if (said.erase && (argument !== undefined || said.tagFile !== undefined)) {
    throw new InvalidArgumentError('--erase takes no tag: it takes the one off that is there');
  }
  const { signal } = untilInterrupted();
  if (!said.erase) assertClock(said.trustClock === true);
  const given = said.erase ? undefined : await readTag({ argument, file: said.tagFile }, said);
  if ((await keptByNode(said)).has(deviceOf(port))) {
    throw new RdvError(
      'busy',
      `the running node keeps the board at ${port}: say in its configuration what it shall carry, or stop it`,
    );
  }
  out.progress('connecting', { port }, `asking ${port} …`);
  const board = await openPort(port, said, signal);
  let done: ProvisionResult;
  let identity: { readonly board: string; readonly firmware: string };
  try {
    identity = await board.identity();
    const { batteryMv } = await board.status();
    const battery = batteryMv === undefined ? '' : `, battery ${(batteryMv / 1000).toFixed(2)} V`;
    out.progress(
      'board',
      { port, board: identity.board, firmware: identity.firmware, batteryMv },
      `${identity.board}, firmware ${identity.firmware}${battery}`,
    );
    if (!given) return await erase(board, out);
    out.progress('deriving', {}, 'deriving its key from the tag …');
    const beaconKey = await beaconKeyOf(given.tag, given.options.realm);
    try {
      out.progress('writing', { port }, 'writing …');
      done = await board.provision({ ...settings, beaconKey }, { force: said.forceTime === true, signal });
    } finally {
      beaconKey.fill(0);
    }
  } finally {
    await board.close();
  }
  out.progress('written', { port }, 'the board has it, and computes the right ids');
  const radio =
    said.adapter ?? ((await nodeAnswers(nodePaths(said.state).controlSocket)) ? 'the running node' : undefined);
  let heard: BeaconHeard | undefined;
  let unheard = 'not listened for: --adapter hci0 would';
  if (radio !== undefined) {
    out.progress('listening', { radio }, `listening for it with ${radio} …`);
    const tag = { text: given.tag, realm: given.options.realm, exponent: settings.exponent };
    try {
      heard = await hear(tag, said, settings.intervalMs, signal);
    } catch (error) {
      // Nobody asked for the node's radio: it may have none, or stand elsewhere.
      if (said.adapter !== undefined) throw error;
      unheard = `not heard by the running node: ${toRdvError(error).message}`;
    }
  }
  const notes = [
    heard ? `heard on the air, ${heard.rssi} dBm` : unheard,
    ...(settings.exponent === EID_EXPONENT
      ? []
      : [`finders need its window: rdv tag link --beacon-k ${settings.exponent}`]),
  ];
  out.result(
    {
      port,
      board: identity.board,
      firmware: identity.firmware,
      label: toHex(done.label),
      number: done.number,
      clock: done.clock,
      eid: toHex(done.eid),
      heard: heard && { eid: heard.eid, rssi: heard.rssi },
    },
    [`${port}: provisioned; it sends ${toHex(done.eid)} in this window`, ...notes.map((note) => `  ${note}`)].join(
      '\n',
    ),
  );
}

const HELP = `
The board keeps a key that is derived from the tag, never the tag; nobody reads it back over the line. Its clock is set, too,
and runs on battery: attach it again now and then ("boards" in a node's configuration), or it drifts by a window in some months.

Examples:
  rdv provision /dev/ttyACM0 --tag-file tag --adapter hci0
  rdv provision /dev/ttyACM0 "billboard on Rte. 101" --interval 2000 --power -8
  rdv provision /dev/ttyACM0 --erase`;

export function provisionCommand(command: Command): Command {
  return withTagOptions(command.argument('<port>', 'serial port of the board: /dev/ttyACM0, COM3 (see "rdv boards")'))
    .description('put a tag on an attached beacon board')
    .option('--interval <ms>', 'between two adverts, 100 to 10240: longer spares the battery', '1000')
    .option('--power <dbm>', 'transmit power, -40 to 20: the radio takes the nearest that it has', '0')
    .option('--calibrated <dbm>', 'power at 0 m as measured, -100 to 20 (default: the board estimates it)')
    .addOption(new Option('--format <name>', 'of the advert').choices([...ADVERT_FORMATS]).default('native'))
    .option('--k <exponent>', 'its id changes every 2^k seconds, 0 to 15', String(EID_EXPONENT))
    .option(
      '--resume',
      'after a loss of power go on from the last stored time, which repeats old ids, in place of silence',
    )
    .option('--force-time', 'give it the time of this machine even if the board takes it for wrong')
    .option('--trust-clock', 'believe the clock of this machine whatever speaks against it')
    .addOption(new Option('--adapter <name>', 'radio that listens for it afterwards: hci0, …').env('RDV_ADAPTER'))
    .option('--erase', 'take the tag off, in place of putting one on')
    .addHelpText('after', HELP)
    .action(provision);
}
