/**
 * QR codes of links, for a terminal or as a picture. Whoever scans one knows the tag: picture files belong to their
 * owner alone until he prints them.
 */
import { writeFile } from 'node:fs/promises';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';

/** Light modules around the code, as ISO/IEC 18004 wants them. */
const MARGIN = 4;
/** Printed codes get dirty: 15 % of the code may be missing. */
const CORRECTION = 'M';
const PNG_WIDTH = 1024;

/**
 * Block characters, two rows of modules in a line.
 * @param colours dark on light by escape sequences, whatever the terminal's own colours are
 */
export function qrText(text: string, colours: boolean): Promise<string> {
  return drawing(async (qr) =>
    colours
      ? qr.toString(text, { type: 'terminal', small: true, errorCorrectionLevel: CORRECTION, margin: MARGIN })
      : qr.toString(text, { type: 'utf8', errorCorrectionLevel: CORRECTION, margin: MARGIN }),
  );
}

/** Writes a picture. @throws RdvError `config` when the file cannot be written */
export async function writeQr(text: string, kind: 'png' | 'svg', path: string): Promise<void> {
  const content = await drawing(async (qr) =>
    kind === 'png'
      ? qr.toBuffer(text, { type: 'png', width: PNG_WIDTH, errorCorrectionLevel: CORRECTION, margin: MARGIN })
      : qr.toString(text, { type: 'svg', errorCorrectionLevel: CORRECTION, margin: MARGIN }),
  );
  try {
    await writeFile(path, content, { mode: 0o600 });
  } catch (cause) {
    throw new RdvError('config', `cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}

async function drawing<T>(draw: (qr: typeof import('qrcode')) => Promise<T>): Promise<T> {
  // qrcode: the most used QR library of npm; PNG and SVG without native code
  const { default: qr } = await import('qrcode');
  try {
    return await draw(qr);
  } catch (cause) {
    throw new InvalidArgumentError('this is too long for a QR code: use a shorter tag, or fewer namespaces', { cause });
  }
}
