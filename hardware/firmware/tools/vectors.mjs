// The vectors that TypeScript and C share, as a C header. `node vectors.mjs VECTOR-FOLDER > vectors.h`
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const read = (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
const companion = read('companion');
const eids = read('eid').cases;

const lines = ['/* Generated from test/vectors by tools/vectors.mjs. */', '#include "vector-types.h"', ''];
const seen = new Map();
/** Names an array of these bytes; equal ones share it. */
function bytes(hex) {
  const known = seen.get(hex);
  if (known) return known;
  const list = hex.match(/../g) ?? [];
  const name = `b${seen.size}`;
  const content = list.length > 0 ? list.map((byte) => `0x${byte}`).join(',') : '0';
  lines.push(`static const uint8_t ${name}[] = {${content}};`);
  const value = `{${name}, ${list.length}}`;
  seen.set(hex, value);
  return value;
}
const text = (words) => JSON.stringify(words ?? '');
function table(type, name, rows) {
  lines.push(`static const struct ${type} ${name}[] = {`, ...rows.map((row) => `    {${row.join(', ')}},`), '};', '');
}

const checksums = (cases) => cases.map(({ data, crc }) => [bytes(data), `0x${crc.toString(16)}u`]);
table('vector_crc', 'vectors_crc16', checksums(companion.crc));
table('vector_crc', 'vectors_crc32', checksums(companion.crc32));
table(
  'vector_pair',
  'vectors_cobs',
  companion.cobs.map(({ data, encoded }) => [bytes(data), bytes(encoded)]),
);
const frames = companion.frames.map(({ name, type, seq, payload, wire }) => {
  return [text(name), type, seq, bytes(payload), bytes(wire)];
});
table('vector_frame', 'vectors_frames', frames);
table(
  'vector_no_frame',
  'vectors_no_frames',
  companion.noFrames.map(({ why, wire }) => [text(why), bytes(wire)]),
);
const eidRows = eids.map(({ beaconKey, clockSeconds, exponent, eid }) => {
  return [bytes(beaconKey), `${clockSeconds}u`, exponent, bytes(eid)];
});
table('vector_eid', 'vectors_eids', eidRows);
const adverts = companion.adverts.map(({ key, clockSeconds, exponent, format, calibratedDbm, data }) => {
  const code = format === 'native' ? 'FORMAT_NATIVE' : 'FORMAT_EDDYSTONE';
  return [bytes(key), `${clockSeconds}u`, exponent, code, calibratedDbm, bytes(data)];
});
table('vector_advert', 'vectors_adverts', adverts);
lines.push(`static const struct vector_bytes vectors_needs_time = ${bytes(companion.needsTime)};`, '');

const raw = ([type, seq, payload]) => bytes(Buffer.from([type, seq]).toString('hex') + payload);
const steps = [];
const says = [];
for (const session of companion.sessions)
  for (const [i, step] of session.steps.entries()) {
    const kind = step.send
      ? 'STEP_SEND'
      : step.restart === 'power'
        ? 'STEP_POWER'
        : step.restart
          ? 'STEP_RESET'
          : 'STEP_MS';
    const frame = step.send ? raw(step.send) : '{0, 0}';
    steps.push([
      text(session.name),
      text(step.why),
      i === 0 ? 1 : 0,
      kind,
      `${step.ms ?? 0}u`,
      frame,
      step.says.length,
    ]);
    says.push(...step.says.map((said) => [raw(said)]));
  }
table('vector_step', 'vectors_steps', steps);
table('vector_said', 'vectors_said', says);
console.log(lines.join('\n'));
