// Benchmarks: `npm run bench [-- --json] [--only NAME] [--rounds N] [--ms N]`. Cases of a suite run in turn, round after
// round, so that a busy machine disturbs all of them alike; what is shown is the median of the rounds.
//
// A suite is a module in suites/ with `title` and `open()`, which resolves to { cases, close? }; a case is
// { name, run, batch?, unit? }: `run()` does `batch` (default 1) operations, and may be async.
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '200' },
  },
});
const rounds = Number(values.rounds);
const roundMs = Number(values.ms);

/** Runs one case for about `ms`; operations, wall and CPU seconds. */
async function measure({ run, batch = 1 }, ms) {
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  let operations = 0;
  let wall = 0;
  do {
    const result = run();
    if (result instanceof Promise) await result;
    operations += batch;
    wall = performance.now() - started;
  } while (wall < ms);
  const cpu = process.cpuUsage(cpuBefore);
  return { operations, wall: wall / 1000, cpu: (cpu.user + cpu.system) / 1e6 };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function runSuite(name) {
  const { title, open } = await import(new URL(`suites/${name}`, import.meta.url));
  const suite = await open();
  const samples = suite.cases.map(() => []);
  try {
    for (const one of suite.cases) await measure(one, roundMs / 4);
    for (let round = 0; round < rounds; round++) {
      for (const [i, one] of suite.cases.entries()) samples[i].push(await measure(one, roundMs));
    }
  } finally {
    await suite.close?.();
  }
  const results = suite.cases.map((one, i) => {
    const rates = samples[i].map((sample) => sample.operations / sample.wall);
    return {
      name: one.name,
      unit: one.unit ?? 'operation',
      perSecond: median(rates),
      slowestPerSecond: Math.min(...rates),
      fastestPerSecond: Math.max(...rates),
      cpuMicroseconds: median(samples[i].map((sample) => (1e6 * sample.cpu) / sample.operations)),
    };
  });
  return { suite: name.replace('.mjs', ''), title, results };
}

const number = (value) =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3).replace(/\.?0+$/, '');

function printTable({ title, results }) {
  const rows = results.map((one) => [
    one.name,
    number(one.perSecond),
    `${number(one.slowestPerSecond)} to ${number(one.fastestPerSecond)}`,
    number(one.cpuMicroseconds),
    one.unit,
  ]);
  const table = [['case', 'per second', 'range', 'CPU µs each', 'of'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  console.log(`\n${title}`);
  for (const row of table) {
    const cells = row.map((cell, i) => (i === 0 || i === 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(`  ${cells.join('   ').trimEnd()}`);
  }
}

const names = readdirSync(new URL('suites/', import.meta.url))
  .filter((file) => file.endsWith('.mjs') && (!values.only || file.startsWith(values.only)))
  .toSorted();
if (names.length === 0) {
  console.error(`bench: no suite begins with "${values.only}"`);
  process.exit(1);
}
const report = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', rounds, roundMs, suites: [] };
for (const name of names) {
  const suite = await runSuite(name);
  report.suites.push(suite);
  if (!values.json) printTable(suite);
}
if (values.json) console.log(JSON.stringify(report, null, 2));
