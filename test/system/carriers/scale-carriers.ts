/** What is measured: a namespace service and a broker, each a process of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { parseNamespaceUrl } from '@rdv/gateway/namespaces/parse-url';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { openUp, surroundings } from '../../support/mqtt-rig.js';
import { freePort, ServerProcess } from '../../support/server-process.js';
import { ServiceProcess } from '../../support/service-process.js';

export interface Carrier {
  /** A connection that is up. */
  readonly open: () => Promise<Namespace>;
  /** Resident memory, MiB. */
  readonly carrierMiB: () => number;
  close(): Promise<void>;
}

export const carriers: Readonly<Record<string, () => Promise<Carrier>>> = {
  'a namespace service': async () => {
    const service = await ServiceProcess.start();
    const open = async (): Promise<Namespace> => {
      const spec = parseNamespaceUrl(service.url);
      if (spec.kind !== 'http') throw new Error('no service');
      const namespace = openHttpNamespace({ ...surroundings, target: spec.target });
      await namespace.firstAttempt;
      return namespace;
    };
    return { open, carrierMiB: () => service.memoryMiB, close: () => service.close() };
  },
  mosquitto: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rdv-scale-'));
    const port = await freePort();
    const config = join(folder, 'conf');
    const user = process.getuid?.() === 0 ? ['user root'] : [];
    writeFileSync(
      config,
      [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'set_tcp_nodelay true', ...user].join('\n'),
    );
    const server = await ServerProcess.start('/usr/sbin/mosquitto', ['-c', config], port);
    return {
      open: () => openUp({ protocol: 'mqtt', host: '127.0.0.1', port }),
      carrierMiB: () => server.memoryMiB,
      close: async () => {
        await server.kill();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};
