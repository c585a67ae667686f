/**
 * The radio host process: opens the adapter it is told to, serves it over IPC, and ends with its parent. A
 * composition root: real clock, real transport.
 */
import { toRdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { openTransport } from '../hci/open-transport.js';
import type { AssembledRadio } from './adapter-module.js';
import { assembleRadio } from './assemble.js';
import { checkToHost, type FromHost, fitText, type OpenMessage } from './messages.js';
import { RadioServer } from './serve.js';
import { systemClock } from './system.js';

const CLOSE_DEADLINE_MS = 800;

let radio: AssembledRadio | undefined;
let server: RadioServer | undefined;
let ending = false;

function post(message: FromHost): void {
  if (process.connected) process.send?.(message, () => {});
}

/** Lets the radio go, but not for long, and ends the process. */
function end(code: number): void {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(code), CLOSE_DEADLINE_MS);
  void (radio?.close() ?? Promise.resolve()).then(() => process.exit(code));
}

async function open(message: OpenMessage): Promise<void> {
  try {
    const { transport, channel } = await openTransport(message.adapter);
    radio = await assembleRadio({
      transport,
      modules: {
        ...(message.central !== undefined && { central: new URL(message.central) }),
        ...(message.peripheral !== undefined && { peripheral: new URL(message.peripheral) }),
      },
      slots: message.slots,
      // The kernel shares a raw channel, and would not know of it.
      reset: channel !== 'raw',
      clock: systemClock,
      log: silentLogger,
      onWedged: (reason) => post({ t: 'wedged', reason: fitText(reason) }),
    });
    server = new RadioServer({ send: (out) => post(out as FromHost) }, radio, {
      clock: systemClock,
      memory: () => process.memoryUsage.rss(),
      onClosed: () => end(0),
    });
    server.start();
  } catch (thrown) {
    const error = toRdvError(thrown);
    post({ t: 'failed', code: error.code, message: fitText(error.message) });
  }
}

// The stacks print what they hear, addresses included.
console.log = console.warn = console.error = () => {};
// Ctrl-C reaches the whole group: the parent decides. The stacks' own listeners would end this process.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => end(0));
process.on('disconnect', () => end(0));
process.on('uncaughtException', (error) => {
  post({ t: 'wedged', reason: fitText(`the radio host threw: ${error.message}`) });
  end(1);
});
// noble's data path rejects when a connection ends under it: known, and harmless.
process.on('unhandledRejection', () => {});
process.on('message', (raw) => {
  if (server) {
    server.receive(raw);
    return;
  }
  const message = checkToHost(raw);
  if (message.t === 'open') void open(message);
});
