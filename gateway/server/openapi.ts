/** The document of the service's interface (OpenAPI 3.1), as it is served at `/1/openapi.json` (SPEC §14). */
export function openApiDocument(base: string, version: string): object {
  return {
    openapi: '3.1.0',
    info: { title: 'RDV namespace service', version },
    servers: [{ url: base || '/' }],
    paths: {},
  };
}
