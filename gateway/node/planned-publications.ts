/** The publications of a configuration, checked as far as that goes without opening anything. */
import { readFileSync, statSync } from 'node:fs';
import { utf8 } from '@rdv/protocol/core/bytes';
import { TAG_MAX_BYTES } from '@rdv/protocol/core/constants';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import { type IdentitySource, openSigner } from '../identity/open-signer.js';
import { openPolicy, type TrustSource } from '../identity/trust-policy.js';
import { parseNamespaceUrl } from '../namespaces/parse-url.js';
import type { Lifecycle, PublishRequest } from './api.js';
import type { HandlerConfig, IdentityConfig, NodeConfig, PublicationConfig } from './config.js';
import { execHandler } from './handlers/exec.js';
import type { Handler } from './handlers/handler.js';
import { replyHandler } from './handlers/reply.js';
import { socketHandler } from './handlers/socket.js';

export interface PlannedPublication {
  readonly request: PublishRequest;
  readonly handler: Handler;
}

function handlerOf(config: HandlerConfig): Handler {
  if ('reply' in config) return replyHandler(utf8(config.reply));
  if ('exec' in config) return execHandler(config.exec);
  return socketHandler(config.socket);
}

/** @throws RdvError `config` when its file cannot be read */
export function tagOf(entry: Pick<PublicationConfig, 'tag' | 'tag-file'>): string {
  if (entry.tag !== undefined) return entry.tag;
  const path = entry['tag-file'] ?? '';
  let bytes: Uint8Array;
  try {
    if (statSync(path).size > TAG_MAX_BYTES + 2) throw new Error(`longer than ${TAG_MAX_BYTES} bytes`);
    bytes = readFileSync(path);
  } catch (cause) {
    throw new RdvError('config', `cannot read the tag file ${path}: ${(cause as Error).message}`, { cause });
  }
  try {
    // One final line end is not part of the tag (SPEC §2).
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r\n$|\n$|\r$/, '');
  } catch (cause) {
    throw new RdvError('config', `the tag in ${path} is not UTF-8 text`, { cause });
  }
}

function lifecycleOf(lifecycle: PublicationConfig['lifecycle']): Lifecycle {
  return typeof lifecycle === 'string' ? { kind: lifecycle } : { kind: 'limited', limit: lifecycle.limit };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RdvError('config', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Read at the start, so that a file that is missing is told before anything runs. */
async function identityOf(identity: IdentityConfig): Promise<IdentitySource> {
  const { key, chain, 'public-key': publicKey } = typeof identity === 'string' ? { key: identity } : identity;
  const source: IdentitySource = {
    from: key,
    chain: chain === undefined ? undefined : textOf(chain),
    publicKey: publicKey === undefined ? undefined : textOf(publicKey),
    agentSocket: process.env['SSH_AUTH_SOCK'],
  };
  await openSigner(source, () => {});
  return source;
}

async function allowOf({ allow, roots, crl }: PublicationConfig): Promise<TrustSource | undefined> {
  if (!allow && !roots && !crl) return undefined;
  const trust: TrustSource = { keys: allow, roots, crls: crl };
  await openPolicy(trust);
  return trust;
}

async function plan(entry: PublicationConfig, config: NodeConfig): Promise<PlannedPublication> {
  const tag = tagOf(entry);
  await parseAnyTag(tag);
  realmOf(entry.realm);
  if (!entry.namespaces && config.namespaces.length === 0) {
    throw new RdvError('config', 'has no namespaces: give it some, or the whole file');
  }
  return {
    handler: handlerOf(entry.handler),
    request: {
      tag,
      realm: entry.realm,
      lifecycle: lifecycleOf(entry.lifecycle),
      ttlSeconds: entry.ttl,
      aheadEpochs: entry.ahead,
      namespaces: entry.namespaces,
      bridge: entry.bridge,
      title: entry.title,
      advertise: entry.advertise,
      durable: entry.durable === 'history' ? { history: true } : entry.durable,
      identity: entry.identity === undefined ? undefined : await identityOf(entry.identity),
      allow: await allowOf(entry),
    },
  };
}

/** @throws RdvError `config` or what is wrong with a tag, a handler or a URL: it names the publication */
export async function planPublications(config: NodeConfig): Promise<readonly PlannedPublication[]> {
  for (const url of [...config.namespaces, ...config.publications.flatMap(({ namespaces }) => namespaces ?? [])]) {
    parseNamespaceUrl(url);
  }
  if (config.roles.gateway) parseNamespaceUrl(config.roles.gateway.namespace);
  const planned: PlannedPublication[] = [];
  for (const [index, entry] of config.publications.entries()) {
    try {
      planned.push(await plan(entry, config));
    } catch (error) {
      throw new RdvError('config', `publications.${index}: ${toRdvError(error).message}`, { cause: error });
    }
  }
  return planned;
}
