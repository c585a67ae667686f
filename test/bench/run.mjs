// Benchmarks: `npm run bench [-- OPTIONS]`; HELP below says which. Cases of a suite run in turn, round after round, so
// that a busy machine disturbs all of them alike; what is shown is the median of the rounds. A case may name another
// one of its suite as its `floor`: the least that its work could cost, or what a peer takes for the same; the ratio to
// it, formed within each round, tells more than the rates do.
//
// A suite is a module in suites/ with `title` and `open()`, which resolves to { cases, close? }; a case is
// { name, run, batch?, unit?, floor? }: `run()` does `batch` (default 1) operations, and may be async.
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

const HELP = `npm run bench [-- OPTIONS]
  --only NAME    the suites whose names begin so; may be repeated
  --json         the report as JSON on standard output, instead of tables
  --rounds N     rounds per suite, 1 to 100 (default 3)
  --ms N         milliseconds per case and round, 1 to 60000 (default 120)
  --help         this
Suites: `;

const names = readdirSync(new URL('suites/', import.meta.url))
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.replace('.mjs', ''))
  .toSorted();

function fail(message) {
  console.error(`bench: ${message}; --help says more`);
  process.exit(2);
}

function options() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [''] },
        rounds: { type: 'string', default: '3' },
        ms: { type: 'string', default: '120' },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    console.log(HELP + names.join(', '));
    process.exit(0);
  }
  const whole = (name, most) => {
    const value = Number(values[name]);
    if (!(Number.isInteger(value) && value >= 1 && value <= most))
      fail(`--${name} takes a whole number from 1 to ${most}`);
    return value;
  };
  for (const only of values.only)
    if (!names.some((name) => name.startsWith(only)))
      fail(`no suite begins with "${only}": there are ${names.join(', ')}`);
  return {
    json: values.json,
    wanted: names.filter((name) => values.only.some((only) => name.startsWith(only))),
    rounds: whole('rounds', 100),
    ms: whole('ms', 60_000),
  };
}

const { json, wanted, rounds, ms } = options();

/** Runs one case for about `ms`; operations, wall and CPU seconds. */
async function measure({ run, batch = 1 }, forMs) {
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  let operations = 0;
  let wall = 0;
  do {
    const result = run();
    if (result instanceof Promise) await result;
    operations += batch;
    wall = performance.now() - started;
  } while (wall < forMs);
  const cpu = process.cpuUsage(cpuBefore);
  return { operations, wall: wall / 1000, cpu: (cpu.user + cpu.system) / 1e6 };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const rate = (sample) => sample.operations / sample.wall;

async function runSuite(name) {
  const started = performance.now();
  process.stderr.write(`bench: ${name} `);
  const { title, open } = await import(new URL(`suites/${name}.mjs`, import.meta.url));
  const suite = await open();
  const samples = suite.cases.map(() => []);
  try {
    for (const one of suite.cases) await measure(one, ms / 4);
    for (let round = 0; round < rounds; round++) {
      process.stderr.write('.');
      for (const [i, one] of suite.cases.entries()) samples[i].push(await measure(one, ms));
    }
  } finally {
    await suite.close?.();
  }
  process.stderr.write(` ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  const results = suite.cases.map((one, i) => {
    const rates = samples[i].map(rate);
    const floor = suite.cases.findIndex((other) => other.name === one.floor);
    if (one.floor && floor < 0) throw new Error(`${name}: "${one.name}" names a floor that is no case`);
    return {
      name: one.name,
      unit: one.unit ?? 'operation',
      perSecond: median(rates),
      slowestPerSecond: Math.min(...rates),
      fastestPerSecond: Math.max(...rates),
      cpuMicroseconds: median(samples[i].map((sample) => (1e6 * sample.cpu) / sample.operations)),
      ...(one.floor && { floor: one.floor, ofFloor: median(rates.map((mine, n) => mine / rate(samples[floor][n]))) }),
    };
  });
  return { suite: name, title, results };
}

const number = (value) =>
  value >= 100
    ? Math.round(value).toLocaleString('en-US')
    : value
        .toPrecision(3)
        .replace(/(\.\d*?)0+$/, '$1')
        .replace(/\.$/, '');

function printTable({ title, results }) {
  const rows = results.map((one) => [
    one.name,
    number(one.perSecond),
    `${number(one.slowestPerSecond)} to ${number(one.fastestPerSecond)}`,
    number(one.cpuMicroseconds),
    one.unit,
    one.floor ? `${number(one.ofFloor)} of: ${one.floor}` : '',
  ]);
  const table = [['case', 'per second', 'range', 'CPU µs each', 'of', 'rate beside a floor'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  console.log(`\n${title}`);
  for (const row of table) {
    const cells = row.map((cell, i) => (i === 0 || i >= 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(`  ${cells.join('   ').trimEnd()}`);
  }
}

const report = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', rounds, ms, suites: [] };
for (const name of wanted) {
  const suite = await runSuite(name);
  report.suites.push(suite);
  if (!json) printTable(suite);
}
if (json) console.log(JSON.stringify(report, null, 2));
// Vendor stacks of the radio suite keep handles open that nobody can close.
process.exit(0);
