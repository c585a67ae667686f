/** Requests to a namespace service whose every answer is held against the document that the service itself serves. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema?: object }>> }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: object;
}

export interface Asked {
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly json: Record<string, unknown>;
}

export class OpenApiClient {
  /** `operationId status` of everything that was answered. */
  readonly seen = new Set<string>();
  readonly document: Document;
  readonly #url: string;
  readonly #ajv = new Ajv2020({ strict: false });

  constructor(url: string, document: unknown) {
    this.#url = url;
    this.document = document as Document;
    this.#ajv.addSchema({ $id: 'api', components: this.document.components });
  }

  static async open(url: string): Promise<OpenApiClient> {
    const reply = await fetch(`${url}/1/openapi.json`);
    expect(reply.status).toBe(200);
    return new OpenApiClient(url, await reply.json());
  }

  get operations(): string[] {
    return Object.values(this.document.paths).flatMap((path) =>
      Object.values(path).flatMap((one) => (one.operationId ? [one.operationId] : [])),
    );
  }

  /** @throws when the document does not have this operation, status, type or shape of answer */
  async ask(method: string, path: string, init: Asked = {}): Promise<Answer> {
    const { headers = {}, body } = init;
    const sent = body === undefined ? {} : { body: body as BodyInit };
    const reply = await fetch(`${this.#url}${path}`, { method, redirect: 'manual', headers, ...sent });
    const bytes = new Uint8Array(await reply.arrayBuffer());
    const operation = this.#operation(method, path.replace(/\?.*$/, ''));
    const { operationId } = operation;
    this.seen.add(`${operationId} ${reply.status}`);
    const described = operation.responses[reply.status];
    expect(described, `${operationId} is described with ${reply.status}`).toBeDefined();
    const type = reply.headers.get('content-type')?.replace(/;.*$/, '') ?? undefined;
    const types = Object.keys(described?.content ?? {});
    if (types.length === 0 || method === 'HEAD') expect(bytes.length, `${operationId} ${reply.status}: body`).toBe(0);
    else expect(types, `${operationId} ${reply.status}`).toContain(type);
    let json: Record<string, unknown> = {};
    if (type?.endsWith('json') && bytes.length > 0) {
      json = JSON.parse(Buffer.from(bytes).toString());
      const schema = JSON.parse(
        JSON.stringify(described?.content?.[type]?.schema ?? {}).replaceAll('"#/components', '"api#/components'),
      );
      expect(this.#ajv.validate(schema, json), `${operationId}: ${this.#ajv.errorsText()}`).toBe(true);
    }
    return { status: reply.status, headers: reply.headers, bytes, json };
  }

  #operation(method: string, path: string): Operation {
    for (const [template, operations] of Object.entries(this.document.paths)) {
      const pattern = new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`);
      const found = operations[method === 'HEAD' ? 'get' : method.toLowerCase()];
      if (pattern.test(path) && found?.operationId) return found;
    }
    throw new Error(`the document has no ${method} ${path}`);
  }
}
