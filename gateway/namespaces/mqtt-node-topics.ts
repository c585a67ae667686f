/**
 * Where a node speaks of itself on a broker, and where sightings of beacons stand (SPEC §10 Nodes, Sightings). Names
 * only; `<node>` is a random name that nothing else of the node's leads to.
 */
import { assertBytes, fromBase64Url, toBase64Url } from '@rdv/protocol/core/bytes';
import { EID_BYTES } from '@rdv/protocol/core/constants';

/** 10 random bytes, base64url. */
export const NODE_NAME_BYTES = 10;
export const NODE_NAME: RegExp = /^[A-Za-z0-9_-]{14}$/;

/** @param node 14 characters @param rest `state`, `info`, `health`, `adapter/<n>/state`, `request/<verb>`, `response/<verb>` */
export function nodeTopic(base: string, node: string, rest: string): string {
  return `${base}/1/node/${node}/${rest}`;
}

/** Of a topic under `<base>/1/node/`: whose, and which. Never throws. */
export function parseNodeTopic(
  base: string,
  topic: string,
): { readonly node: string; readonly rest: string } | undefined {
  const prefix = `${base}/1/node/`;
  if (!topic.startsWith(prefix)) return undefined;
  const [node = '', ...rest] = topic.slice(prefix.length).split('/');
  return NODE_NAME.test(node) && rest.length > 0 ? { node, rest: rest.join('/') } : undefined;
}

/** The place of `node`'s sighting of `eid` (8 bytes): several gateways may hear one beacon. */
export function sightingTopic(base: string, eid: Uint8Array, node: string): string {
  assertBytes('eid', eid, EID_BYTES);
  return `${base}/1/s/${toBase64Url(eid)}/${node}`;
}

/** What a reader subscribes to. @param eid 8 bytes */
export function sightingFilter(base: string, eid: Uint8Array): string {
  return sightingTopic(base, eid, '+');
}

/** Which ephemeral id (8 bytes) and node a topic is about. Never throws. */
export function parseSightingTopic(
  base: string,
  topic: string,
): { readonly eid: Uint8Array; readonly node: string } | undefined {
  const prefix = `${base}/1/s/`;
  const [eid = '', node = '', ...more] = topic.startsWith(prefix) ? topic.slice(prefix.length).split('/') : [];
  if (more.length > 0 || !NODE_NAME.test(node)) return undefined;
  try {
    const bytes = fromBase64Url(eid);
    return bytes.length === EID_BYTES ? { eid: bytes, node } : undefined;
  } catch {
    return undefined;
  }
}
