/** `rdv scan`: beacons heard, and, for tags given, whose they are. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { ScanRequest } from '../node/api.js';
import { type Command, Option } from './commander.js';
import { type NamespaceOptions, openNodeApi, outputOf, untilInterrupted, withCommonOptions } from './shared.js';
import { readTag } from './tag-input.js';

interface ScanOptions extends Omit<NamespaceOptions, 'tagFile'> {
  readonly tag?: readonly string[];
  readonly tagFile?: readonly string[];
  readonly seconds: string;
}

/** Lines per second on a terminal: every beacon shows when it is new, and then once a second. */
const AGAIN_AFTER_MS = 1000;

export function scanCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('show the beacons in range')
    .option('--tag <text...>', 'name the beacons of these tags')
    .option('--tag-file <file...>', 'likewise, with tags read from files')
    .option('--realm <text>', 'realm of the tags', '')
    .option('--seconds <n>', 'stop after this long (0: until interrupted)', '0')
    .addOption(
      new Option('--adapter <name>', 'radio: hci0, an address, serial:PATH or virtual:PATH').env('RDV_ADAPTER'),
    )
    .action(async (options: ScanOptions) => {
      const out = outputOf(options);
      const seconds = Number(options.seconds);
      if (!(seconds >= 0 && seconds <= 86_400)) throw new InvalidArgumentError('--seconds must be 0 to 86400');
      const { signal: interrupted } = untilInterrupted();
      const enough = new AbortController();
      interrupted.addEventListener('abort', () => enough.abort());
      const { tagFile: _, ...rest } = options;
      const { api } = await openNodeApi(rest, { store: false, namespaces: false });
      const sources = [
        ...(options.tag ?? []).map((argument) => ({ argument, file: undefined })),
        ...(options.tagFile ?? []).map((file) => ({ argument: undefined, file })),
      ];
      const tags: ScanRequest['tags'][number][] = [];
      for (const source of sources) {
        const given = await readTag(source, { realm: options.realm });
        tags.push({ text: given.tag, realm: given.options.realm, beacon: given.beacon });
      }
      const shown = new Map<string, number>();
      try {
        if (seconds > 0) setTimeout(() => enough.abort(), seconds * 1000);
        out.progress('scanning', {}, 'scanning …');
        let columns = out.json;
        await api.scan(
          { tags },
          (heard) => {
            const now = performance.now();
            if (now - (shown.get(heard.eid) ?? -AGAIN_AFTER_MS) < AGAIN_AFTER_MS) return;
            if (shown.size > 10_000) shown.clear();
            shown.set(heard.eid, now);
            if (!columns) out.progress('columns', {}, `EID${' '.repeat(15)}RSSI  FORMAT     TAG`);
            columns = true;
            const whose = heard.tag === undefined ? '-' : (tags[heard.tag]?.text ?? '-');
            const marks = `${heard.wantsBridging ? ' wants-bridging' : ''}${heard.hasMail ? ' has-mail' : ''}`;
            out.result(
              { event: 'heard', ...heard },
              `${heard.eid}  ${String(heard.rssi).padStart(4)}  ${heard.format.padEnd(9)}  ${whose}${marks}`,
            );
          },
          enough.signal,
        );
      } finally {
        await api.close();
      }
    });
}
