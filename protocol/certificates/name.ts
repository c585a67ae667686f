/**
 * Names in certificates, for people. Whoever made a certificate chose them, so nothing in them may move a cursor,
 * turn text around, or fill a screen.
 */

/** In the order in which they name somebody: common name, e-mail, organisational unit, organisation. */
const NAMING = ['2.5.4.3', '1.2.840.113549.1.9.1', '2.5.4.11', '2.5.4.10'];
const MAX_CHARS = 64;

/**
 * What to call the subject: its common name and organisation, or what else there is.
 * @param parts of the distinguished name: dotted type, value
 * @param alternatives e-mail addresses, host names, URIs of the certificate
 */
export function nameForPeople(
  parts: readonly (readonly [type: string, value: string])[],
  alternatives: readonly (string | undefined)[],
): string {
  const values = NAMING.map((type) => parts.find(([one]) => one === type)?.[1]);
  const name = [...values.slice(0, 1), ...alternatives, ...values.slice(1)].find(
    (one) => one !== undefined && one !== '',
  );
  if (name === undefined) return '(no name)';
  const organisation = values[3];
  return organisation === undefined || organisation === '' || organisation === name
    ? printable(name)
    : `${printable(name)} (${printable(organisation)})`;
}

/** `text` without control, format and unassigned characters, at most 64 characters long. */
export function printable(text: string): string {
  // In two steps, so that a name of 8 KiB is not made into code points first.
  const chars = Array.from(text.slice(0, 4 * MAX_CHARS).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD'));
  return chars.length <= MAX_CHARS ? chars.join('') : `${chars.slice(0, MAX_CHARS - 1).join('')}…`;
}
