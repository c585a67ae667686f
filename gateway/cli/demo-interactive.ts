/**
 * The demo at a person's own pace: one terminal, both ends. Lines that begin with `k ` are said by the kiosk, `r ` by
 * the responder, anything else by whoever spoke last. The responder is on the internet side; beacon, gateway and
 * broker are between them.
 */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { utf8 } from '@rdv/protocol/core/bytes';
import { RemoteConversation } from '../node/conversation-lines.js';
import { Actor } from './demo-actor.js';
import { talkNext } from './demo-speaker.js';
import { type DemoOptions, type Stage, setStage } from './demo-stage.js';

/** Where the kiosk's conversations come in: the `socket` handler of its publication. */
async function deskSocket(path: string, cleanUp: Stage['cleanUp']): Promise<() => Promise<RemoteConversation>> {
  const waiting: Socket[] = [];
  let wake: () => void = () => {};
  const server = createServer((socket) => {
    waiting.push(socket);
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  cleanUp.push(() => server.close());
  return async () => {
    for (;;) {
      const socket = waiting.shift();
      if (socket) return RemoteConversation.overStream(socket);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

export async function interact(options: DemoOptions): Promise<void> {
  const { tell, signal } = options;
  const cleanUp: Stage['cleanUp'] = [];
  try {
    let nextAtDesk: (() => Promise<RemoteConversation>) | undefined;
    const stage = await setStage(options, cleanUp, async (directory) => {
      const path = join(directory, 'desk.sock');
      nextAtDesk = await deskSocket(path, cleanUp);
      return { socket: path };
    });
    const responder = new Actor(
      'responder',
      [
        'respond',
        '--json',
        '--namespace',
        stage.broker,
        '--state',
        join(stage.directory, 'nobody'),
        '--tag-file',
        stage.tagFile,
      ],
      { data: true },
    );
    cleanUp.push(() => responder.stop());
    const atDesk = nextAtDesk?.();
    await responder.event('open', 40_000);
    const desk = await atDesk;
    if (!desk) return;
    tell('open', 'both ends are yours: "k TEXT" is said by the kiosk, "r TEXT" by the responder, Ctrl-D ends');

    const typed = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
    signal.addEventListener('abort', () => typed.close());
    typed.prompt();
    let speaker: 'k' | 'r' = 'r';
    typed.on('line', (line) => {
      const said = talkNext(line, speaker);
      speaker = said.speaker;
      if (said.text !== '') {
        if (speaker === 'r') responder.say(said.text);
        else desk.send(utf8(`${said.text}\n`)).catch((error: Error) => tell('error', error.message));
      }
      typed.prompt();
    });
    const heardAtDesk = (async () => {
      for await (const message of desk) tell('kiosk', `hears: ${new TextDecoder().decode(message).trimEnd()}`);
    })();
    const heardOutside = (async () => {
      for (;;) tell('outside', `responder hears: ${await responder.line(86_400_000)}`);
    })();
    heardOutside.catch(() => {});
    heardAtDesk.catch(() => {});
    await new Promise<void>((resolve) => typed.once('close', resolve));
    responder.endInput();
    await desk.end();
    tell('end', `the responder left with exit code ${await responder.exited}`);
  } finally {
    for (const undo of cleanUp.reverse()) await undo();
  }
}
