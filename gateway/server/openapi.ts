/** The document of the service's interface (OpenAPI 3.1), as it is served at `/1/openapi.json` (SPEC §14). */
import { PROBLEMS, type ProblemName } from './problem.js';

type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

const base64url = (bytes: number, description: string): JsonObject => ({
  type: 'string',
  pattern: `^[A-Za-z0-9_-]{${Math.ceil((bytes * 4) / 3)}}$`,
  description: `${description}: ${bytes} bytes in base64url, without padding`,
});
const ID = base64url(32, 'SPEC §2');
const OWNER = base64url(32, 'Ed25519 public key, SPEC §3');
const QUEUE = base64url(16, 'SPEC §7.1');
const NUMBER: JsonObject = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const BYTES_TEXT: JsonObject = { type: 'string', pattern: '^[A-Za-z0-9_-]*$' };
const TAG: JsonObject = { type: 'string', pattern: '^"[A-Za-z0-9_-]{22}"$' };

const object = (properties: JsonObject, optional: readonly string[] = []): JsonObject => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});

const inPath = (name: string, schema: JsonObject): JsonObject => ({ name, in: 'path', required: true, schema });
const inQuery = (name: string, schema: JsonObject): JsonObject => ({ name, in: 'query', schema });
const inHeader = (name: string, schema: JsonObject): JsonObject => ({ name, in: 'header', schema });
const text: JsonObject = { type: 'string' };
const binary = (type: string, description: string): JsonObject => ({
  required: true,
  description,
  content: { [type]: {} },
});
const etag: JsonObject = { etag: { schema: TAG, description: 'Names the state of what was read or put.' } };

/** What any request may come to, whatever it asks. */
const ANYWHERE: readonly ProblemName[] = [
  ...(['malformed', 'too-slow', 'head-too-large', 'rate-limited'] as const),
  ...(['busy', 'closing', 'store', 'internal'] as const),
];

const answers = (good: JsonObject, ...problems: readonly ProblemName[]): JsonObject => {
  const all = new Set<ProblemName>([...problems, ...ANYWHERE]);
  const byStatus = new Map<number, ProblemName[]>();
  for (const name of all) byStatus.set(PROBLEMS[name].status, [...(byStatus.get(PROBLEMS[name].status) ?? []), name]);
  return {
    ...good,
    ...Object.fromEntries(
      [...byStatus].map(([status, names]) => [
        String(status),
        {
          description: names.map((name) => `${name}: ${PROBLEMS[name].title}`).join('; '),
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
    ),
  };
};

const json = (description: string, schema: JsonObject): JsonObject => ({
  description,
  content: { 'application/json': { schema } },
});

const EVENTS: JsonObject = {
  description: 'Server-Sent Events until either end closes, or what a long poll brings.',
  content: {
    'text/event-stream': {},
    'application/json': { schema: { $ref: '#/components/schemas/Poll' } },
  },
};
const UNCHANGED: JsonObject = { description: 'What If-None-Match names.', headers: etag };

const SCHEMAS: JsonObject = {
  Problem: object(
    {
      type: { type: 'string', pattern: '/1/problems/[a-z-]+$' },
      title: text,
      status: { type: 'integer', minimum: 400, maximum: 599 },
      detail: text,
      code: { type: 'string', pattern: '^[a-z-]+$' },
      retryAfterMs: { type: 'integer', minimum: 1 },
    },
    ['retryAfterMs'],
  ),
  Service: object({
    service: { const: 'rdv' },
    version: { const: 1 },
    maxRecordBytes: NUMBER,
    maxFrameBytes: NUMBER,
    maxFrames: NUMBER,
    maxFramesBytes: NUMBER,
    maxItems: NUMBER,
    ttlSeconds: NUMBER,
  }),
  Refused: object({
    refused: {
      type: 'array',
      items: object({ index: NUMBER, code: text, retryAfterMs: { type: 'integer', minimum: 1 } }),
    },
  }),
  Asked: object(
    {
      queues: { type: 'array', items: object({ queue: QUEUE, after: NUMBER }, ['after']) },
      ids: { type: 'array', items: object({ id: ID, tag: text }, ['tag']) },
      wait: { type: 'integer', minimum: 0, maximum: 60 },
    },
    ['queues', 'ids', 'wait'],
  ),
  Poll: object({
    position: NUMBER,
    events: {
      type: 'array',
      items: {
        oneOf: [
          object({ type: { const: 'frame' }, queue: QUEUE, n: NUMBER, frame: BYTES_TEXT }),
          object({ type: { const: 'record' }, id: ID, record: BYTES_TEXT }),
          object({ type: { const: 'answered' }, id: ID, tag: TAG }),
        ],
      },
    },
  }),
};

const readRecords = (summary: string, description: string, ...problems: readonly ProblemName[]): JsonObject => ({
  summary,
  responses: answers(
    { '200': { description, headers: etag, content: { 'application/cbor': {} } }, '304': UNCHANGED },
    ...problems,
    'malformed',
    'not-acceptable',
  ),
});

const PATHS: JsonObject = {
  '/1': {
    get: {
      operationId: 'describe',
      summary: 'What the service is, and its limits',
      responses: answers({ '200': json('The service.', { $ref: '#/components/schemas/Service' }) }),
    },
  },
  '/1/openapi.json': {
    get: {
      operationId: 'document',
      summary: 'This document',
      responses: answers({ '200': json('OpenAPI 3.1.', { type: 'object' }) }),
    },
  },
  '/1/problems/{name}': {
    get: {
      operationId: 'explain',
      summary: 'What a type of problem means',
      parameters: [inPath('name', { type: 'string', enum: Object.keys(PROBLEMS) })],
      responses: answers({ '200': { description: 'A sentence.', content: { 'text/plain': {} } } }, 'not-found'),
    },
  },
  '/1/records/{id}': {
    parameters: [inPath('id', ID), inHeader('if-none-match', text)],
    get: {
      operationId: 'listRecords',
      ...readRecords('All records of an id', 'A CBOR array of records (SPEC §3), possibly empty.'),
    },
  },
  '/1/records/{id}/{owner}': {
    parameters: [inPath('id', ID), inPath('owner', OWNER), inHeader('if-none-match', text)],
    get: { operationId: 'readRecord', ...readRecords('One record', 'The record (SPEC §3).', 'not-found') },
    put: {
      operationId: 'putRecord',
      summary: 'Puts a record or a tombstone, checked as SPEC §3 says',
      parameters: [inHeader('if-match', text), inHeader('rdv-client', { type: 'string', maxLength: 64 })],
      requestBody: binary('application/cbor', 'The record, at most 6327 bytes.'),
      responses: answers(
        {
          '201': { description: 'It is new.', headers: etag },
          '204': { description: 'It took the place of an older one, or was kept already.', headers: etag },
        },
        ...([
          'malformed',
          'not-newer',
          'condition',
          'too-large',
          'media-type',
          'expired',
          'signature',
          'full',
        ] as const),
      ),
    },
  },
  '/1/queues/{queue}': {
    post: {
      operationId: 'sendFrame',
      summary: 'Keeps one frame for whoever reads the queue',
      parameters: [inPath('queue', QUEUE), inQuery('ttl', { type: 'integer', minimum: 1, maximum: 86_400 })],
      requestBody: binary('application/octet-stream', '1 to 16384 bytes.'),
      responses: answers({ '204': { description: 'It is on disk.' } }, 'malformed', 'too-large', 'media-type'),
    },
  },
  '/1/frames': {
    post: {
      operationId: 'sendFrames',
      summary: 'Keeps frames of several queues, in order',
      parameters: [inQuery('ttl', { type: 'integer', minimum: 1, maximum: 86_400 })],
      requestBody: binary('application/cbor', 'An array of 1 to 256 pairs [queue, frame], at most 1 MiB.'),
      responses: answers(
        {
          '200': json('Which of them were refused; the others are on disk.', { $ref: '#/components/schemas/Refused' }),
        },
        ...(['malformed', 'too-large', 'media-type'] as const),
      ),
    },
  },
  '/1/events': {
    get: {
      operationId: 'follow',
      summary: 'Frames and records as they come; for a few queues and ids',
      parameters: [
        inQuery('queue', { type: 'array', items: QUEUE }),
        inQuery('id', { type: 'array', items: ID }),
        inQuery('after', NUMBER),
        inQuery('wait', { type: 'integer', minimum: 0, maximum: 60 }),
        inHeader('last-event-id', text),
      ],
      responses: answers({ '200': EVENTS }, 'malformed', 'not-acceptable'),
    },
    post: {
      operationId: 'followMany',
      summary: 'Frames and records as they come, each queue from a place of its own',
      requestBody: {
        required: true,
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Asked' } } },
      },
      responses: answers({ '200': EVENTS }, 'malformed', 'not-acceptable', 'too-large', 'media-type'),
    },
  },
  '/1/link': {
    get: {
      operationId: 'link',
      summary: 'The link protocol (SPEC §9) over WebSocket (SPEC §14.7)',
      parameters: [
        inQuery('session', base64url(16, 'Random, of the client')),
        inQuery('kept', { type: 'string', enum: ['1'] }),
      ],
      responses: answers(
        { '101': { description: 'Binary messages are packets of SPEC §9.1.' } },
        // Also what asks without an upgrade finds nothing.
        ...(['origin', 'not-found'] as const),
      ),
    },
  },
};

/** @param base what stands before `/1/…` */
export function openApiDocument(base: string, version: string): JsonObject {
  return {
    openapi: '3.1.0',
    info: {
      title: 'RDV namespace service',
      version,
      description: 'A blind store of sealed records and a blind carrier of queues: SPEC §14.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: base === '' ? '/' : base }],
    paths: PATHS,
    components: { schemas: SCHEMAS },
  };
}
