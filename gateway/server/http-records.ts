/** Records over HTTP (SPEC §14.2): put with the checks of §3, read one or all of an id, with conditions. */
import { equalBytes, fromBase64Url } from '@rdv/protocol/core/bytes';
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { ID_BYTES, OWNER_BYTES, RECORD_MAX_BYTES } from '@rdv/protocol/core/constants';
import type { Clock } from '@rdv/protocol/core/ports';
import { checkPut, decodeRecord } from '@rdv/protocol/record/envelope';
import { accepted, bytesIn, CBOR, type HttpAnswer, type HttpRequest, type HttpRoute } from './http-route.js';
import { ProblemError } from './problem.js';
import { recordTag } from './record-hash.js';
import type { LimitBook } from './service-limits.js';
import type { PutOperation } from './store/operations.js';
import type { ServiceStore } from './store/service-store.js';

export interface RecordRoutesOptions {
  readonly store: ServiceStore;
  readonly book: LimitBook;
  readonly clock: Clock;
}

export function recordRoutes({ store, book, clock }: RecordRoutesOptions): readonly HttpRoute[] {
  const ofPath = ({ params }: HttpRequest): { id: Uint8Array; owner: Uint8Array } => ({
    id: bytesIn(params['id'], ID_BYTES, 'id'),
    owner: bytesIn(params['owner'], OWNER_BYTES, 'owner'),
  });
  const read = (request: HttpRequest, tag: string, body: Uint8Array): HttpAnswer => {
    const headers = { etag: tag, 'cache-control': 'no-cache', 'content-type': accepted(request, CBOR) };
    return tagsIn(request.headers['if-none-match']).some((one) => one === '*' || one === tag)
      ? { status: 304, headers: { etag: tag, 'cache-control': 'no-cache' } }
      : { status: 200, headers, body };
  };
  return [
    {
      method: 'PUT',
      path: '/1/records/:id/:owner',
      takes: [CBOR],
      maxBodyBytes: RECORD_MAX_BYTES,
      async handle(request) {
        const { id, owner } = ofPath(request);
        const body = request.body ?? new Uint8Array(0);
        book.put(request.caller, id);
        const record = checkPut(body, Math.floor(clock.now() / 1000));
        if (!equalBytes(record.id, id) || !equalBytes(record.owner, owner))
          throw new ProblemError('malformed', 'the record belongs to another place than the path says');
        const { seq, notAfter, tombstone, bytes } = record;
        const onlyIf = conditionOf(request);
        const outcome = await store.put({
          ...{ id, owner, seq, notAfter, tombstone, bytes },
          client: request.caller.client,
          address: request.caller.address,
          perClient: 1,
          perAddress: book.limits.ownersPerAddress,
          ...(onlyIf && { onlyIf }),
        });
        return { status: outcome === 'created' ? 201 : 204, headers: { etag: recordTag(bytes) } };
      },
    },
    {
      method: 'GET',
      path: '/1/records/:id/:owner',
      async handle(request) {
        const { id, owner } = ofPath(request);
        const records = await store.records(id);
        const record = records.find((one) => equalBytes(decodeRecord(one).owner, owner));
        if (!record) throw new ProblemError('not-found', 'no record is kept there');
        return read(request, recordTag(record), record);
      },
    },
    {
      method: 'GET',
      path: '/1/records/:id',
      async handle(request) {
        const records = await store.records(bytesIn(request.params['id'], ID_BYTES, 'id'));
        return read(request, recordTag(...records), encodeCbor([...records]));
      },
    },
  ];
}

function tagsIn(header: string | undefined): readonly string[] {
  return header === undefined ? [] : header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
}

/** @throws ProblemError `malformed` */
function conditionOf({ headers }: HttpRequest): PutOperation['onlyIf'] {
  const { 'if-none-match': unless, 'if-match': given } = headers;
  if (unless !== undefined) {
    if (unless.trim() !== '*' || given !== undefined)
      throw new ProblemError('malformed', 'with PUT, If-None-Match is "*", and stands alone');
    return 'absent';
  }
  if (given === undefined) return undefined;
  if (given.trim() === '*') return 'present';
  // A weak tag, or one that is none of ours, matches nothing (RFC 9110, 13.1.1).
  const current = given.split(',').flatMap((tag) => {
    const [, name] = /^\s*"([\w-]{22})"\s*$/.exec(tag) ?? [];
    try {
      return name === undefined ? [] : [fromBase64Url(name)];
    } catch {
      return [];
    }
  });
  return { current };
}
