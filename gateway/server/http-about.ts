/** What the service says about itself (SPEC §14.1): limits that clients need, the document of its interface, problems. */
import { LINK_MESSAGE_MAX_BYTES, RECORD_MAX_BYTES } from '@rdv/protocol/core/constants';
import { FRAMES_AT_ONCE, FRAMES_MAX_BYTES } from './http-queues.js';
import { type HttpRoute, JSON_TYPE } from './http-route.js';
import { openApiDocument } from './openapi.js';
import { PROBLEMS, ProblemError, type ProblemName } from './problem.js';
import type { LimitBook } from './service-limits.js';

export function aboutRoutes(base: string, version: string, { limits }: LimitBook): readonly HttpRoute[] {
  const json = (body: string) => ({
    status: 200,
    headers: { 'content-type': JSON_TYPE, 'cache-control': 'no-cache' },
    body,
  });
  const document = JSON.stringify(openApiDocument(base, version));
  return [
    {
      method: 'GET',
      path: '/1',
      handle: async () =>
        json(
          JSON.stringify({
            service: 'rdv',
            version: 1,
            maxRecordBytes: RECORD_MAX_BYTES,
            maxFrameBytes: LINK_MESSAGE_MAX_BYTES,
            maxFrames: FRAMES_AT_ONCE,
            maxFramesBytes: FRAMES_MAX_BYTES,
            maxItems: limits.queuesPerStream,
            ttlSeconds: limits.ttlSeconds,
          }),
        ),
    },
    { method: 'GET', path: '/1/openapi.json', handle: async () => json(document) },
    {
      method: 'GET',
      path: '/1/problems/:name',
      async handle({ params }) {
        const name = params['name'] ?? '';
        if (!Object.hasOwn(PROBLEMS, name)) throw new ProblemError('not-found', 'no problem of this name');
        const { title, status, code } = PROBLEMS[name as ProblemName];
        const body = `${title}. (HTTP status ${status}, code ${code})\n`;
        return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body };
      },
    },
  ];
}
