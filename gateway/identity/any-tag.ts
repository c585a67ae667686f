/** Tags of every form, certificates included, whose reader is loaded only for them. */
import { parseTag, type Tag } from '@rdv/protocol/tag/tag';
import { loadVerifier } from './trust-files.js';

/** As `parseTag`. @throws RdvError `invalid-tag` */
export async function parseAnyTag(text: string): Promise<Tag> {
  return parseTag(text, /-----BEGIN CERTIFICATE-----/iu.test(text) ? await loadVerifier() : undefined);
}
