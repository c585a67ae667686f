/** A page in headless Chromium, and the little server that it comes from and reports to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rdv/hardware/host/system';
import { withDeadline } from '@rdv/protocol/core/deadline';
import { vi } from 'vitest';

/** A hang is said before the test's own end, so that what was opened is closed. */
const REPORT_MS = 90_000;

type Report = Readonly<Record<string, unknown>>;

/** Runs `body` as the body of an async function of a page; `rdv` is the bundle, `report(object)` reaches `next()`. */
export class Page {
  readonly #server: Server;
  readonly #profile = mkdtempSync(join(tmpdir(), 'rdv-chromium-'));
  readonly #reports: Report[] = [];
  #child: ChildProcess | undefined;
  #stderr = '';
  #wake: () => void = () => {};

  private constructor(script: string, body: string) {
    const page = `<!doctype html><meta charset="utf-8"><title>RDV</title><script src="/rdv.js"></script><script>
      const report = (value) => fetch('/report', { method: 'POST', body: JSON.stringify(value) });
      (async () => { ${body} })().catch((error) => report({ failed: String(error) }));
    </script>`;
    this.#server = createServer((request, response) => {
      if (request.method === 'POST') {
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => {
          this.#reports.push(JSON.parse(Buffer.concat(parts).toString('utf8')) as Report);
          this.#wake();
          response.end();
        });
        return;
      }
      const isScript = request.url === '/rdv.js';
      response.setHeader('content-type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
      response.end(isScript ? script : page);
    });
  }

  /** @param more the page's address goes behind these of Chromium's arguments */
  static async open(script: string, body: string): Promise<Page> {
    const page = new Page(script, body);
    await new Promise<void>((resolve) => page.#server.listen(0, '127.0.0.1', resolve));
    // As root, and in many containers, it runs without its sandbox only; it sees nothing but this test's own page.
    const args = ['--headless', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic'];
    const child = spawn(
      'chromium',
      [...args, '--remote-debugging-port=0', `--user-data-dir=${page.#profile}`, `${page.origin}/`],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        // A group of its own: its helpers outlive it by a moment, and write into its profile.
        detached: true,
      },
    );
    child.stderr.on('data', (part: Buffer) => {
      page.#stderr = (page.#stderr + part.toString('utf8')).slice(-2000);
    });
    child.once('exit', () => page.#wake());
    page.#child = child;
    return page;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next report. @throws Error when the page failed, or Chromium ended */
  async next(): Promise<Report> {
    for (;;) {
      const report = this.#reports.shift();
      if (report && 'failed' in report) throw new Error(`in the page: ${String(report['failed'])}`);
      if (report) return report;
      if (this.#child?.exitCode !== null) throw new Error(`Chromium ended: ${this.#stderr}`);
      await withDeadline(systemClock, REPORT_MS, `the page says nothing; Chromium: ${this.#stderr}`, this.#woken());
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    try {
      if (child?.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody is left.
    }
    this.#server.closeAllConnections();
    this.#server.close();
    await vi.waitFor(() => rmSync(this.#profile, { recursive: true, force: true }), { timeout: 30_000, interval: 100 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
