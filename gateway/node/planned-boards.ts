/** The boards of a configuration, checked as far as that goes without opening a port. */
import type { BeaconSettings } from '@rdv/hardware/companion/requests';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import type { BoardConfig, NodeConfig } from './config.js';
import { tagOf } from './planned-publications.js';

export interface PlannedBoard {
  readonly port: string;
  /** What it shall carry; undefined: what it carries already. */
  readonly carries:
    | {
        readonly settings: Omit<BeaconSettings, 'beaconKey'>;
        /** 16 bytes, the caller's. Costs a memory-hard derivation for text tags. */
        beaconKey(): Promise<Uint8Array>;
      }
    | undefined;
}

async function plan(entry: BoardConfig): Promise<PlannedBoard> {
  const { port } = entry;
  if (entry.tag === undefined && entry['tag-file'] === undefined) return { port, carries: undefined };
  const tag = await parseAnyTag(tagOf(entry));
  const realm = realmOf(entry.realm);
  const settings = {
    format: entry.format,
    resume: entry.resume,
    txDbm: entry.power,
    calibratedDbm: entry.calibrated,
    intervalMs: entry['interval-ms'],
  };
  const beaconKey = async (): Promise<Uint8Array> => {
    const secret = await TagSecret.fromTag(tag, realm);
    const key = secret.beaconKey.slice();
    secret.wipe();
    return key;
  };
  return { port, carries: { settings, beaconKey } };
}

/** @throws RdvError `config`, naming the board */
export async function planBoards(config: NodeConfig): Promise<readonly PlannedBoard[]> {
  const planned: PlannedBoard[] = [];
  for (const [index, entry] of config.boards.entries()) {
    try {
      planned.push(await plan(entry));
    } catch (error) {
      throw new RdvError('config', `boards.${index}: ${toRdvError(error).message}`, { cause: error });
    }
  }
  return planned;
}
