/** The three ways in which `rdv publish` serves: a handler for everybody, the terminal, one conversation as a pipe. */
import { createInterface } from 'node:readline';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { CanceledError, toRdvError } from '@rdv/protocol/core/errors';
import type { OpenPublication } from '../node/api.js';
import type { Handler } from '../node/handlers/handler.js';
import { heard, SERVED_AT_ONCE } from '../node/handlers/serve-all.js';
import { pipeConversation } from '../node/pipe-conversation.js';
import { checkPipe } from './conversation-end.js';
import { trustFields, trustText } from './identity-options.js';
import type { Output } from './output.js';
import { type Interruption, sasText, tellReachability } from './shared.js';

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Said only of responders who have proved something: most never do. */
const whoText = ({ trust }: Conversation): string =>
  trust.level === 'anonymous' ? '' : ` · ${trustText(trust, 'responder')}`;

export async function serveAll(
  publication: OpenPublication,
  handler: Handler,
  out: Output,
  { signal, stop }: Interruption,
): Promise<void> {
  let count = 0;
  let served = 0;
  let brokenOff = false;
  const running = new Map<Conversation, Promise<void>>();
  signal.addEventListener('abort', () => {
    if (running.size === 0 || stop.aborted) return;
    out.progress('finishing', { open: running.size }, `${running.size} still open: Ctrl-C again breaks off`);
  });
  const breakOff = (conversation: Conversation): void => {
    brokenOff = true;
    void conversation.close();
  };
  stop.addEventListener('abort', () => {
    for (const conversation of running.keys()) breakOff(conversation);
  });
  const serve = async (conversation: Conversation): Promise<void> => {
    // Message 1 alone must not start a program.
    if (!(await heard(conversation))) return;
    const number = ++count;
    served++;
    const hello = conversation.hello && textOf(conversation.hello);
    out.progress(
      'conversation',
      {
        number,
        ...trustFields(conversation.trust),
        sas: conversation.sas ?? null,
        ...(hello === undefined ? {} : { hello }),
      },
      `conversation ${number}: open${hello === undefined ? '' : `, "${hello}"`}${whoText(conversation)}${conversation.sas ? ` · ${sasText(conversation.sas)}` : ''}`,
    );
    const how = await handler
      .serve(conversation)
      // A broken handler costs this conversation, not the publication.
      .catch((error: unknown) => toRdvError(error).message)
      .finally(() => served--);
    out.progress('ended', { number, how }, `conversation ${number}: ${how}`);
  };
  for await (const conversation of publication.conversations) {
    const job = serve(conversation).finally(() => running.delete(conversation));
    running.set(conversation, job);
    if (stop.aborted) breakOff(conversation);
    // A bounded number at once, not counting who was never heard; responders are told `busy` when too many wait.
    while (served >= SERVED_AT_ONCE[handler.kind]) await Promise.race(running.values());
  }
  await Promise.all(running.values());
  if (brokenOff) throw new CanceledError('interrupted: un-published, and open conversations were broken off');
}

/** One person, many conversations: lines go to the latest, `/to N` changes that. */
export async function serveTerminal(
  publication: OpenPublication,
  out: Output,
  { signal, stop }: Interruption,
): Promise<void> {
  const open = new Map<number, Conversation>();
  let current = 0;
  let count = 0;
  const typed = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  // The terminal is in raw mode here: Ctrl-C arrives as a key.
  typed.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  out.progress('help', {}, 'lines go to the latest conversation; /to N changes it, /end ends it, Ctrl-D un-publishes');
  typed.on('line', (line) => {
    const to = /^\/to (\d+)$/.exec(line);
    if (to) {
      if (open.has(Number(to[1]))) current = Number(to[1]);
      else
        out.progress(
          'no-such-conversation',
          {},
          `no conversation ${to[1]}; open: ${[...open.keys()].join(', ') || 'none'}`,
        );
    } else if (line === '/end') void open.get(current)?.end();
    else if (!open.has(current)) out.progress('nobody', {}, 'nobody is there yet');
    else
      open
        .get(current)
        ?.send(utf8(line))
        .catch((error: Error) => out.progress('not-sent', {}, `not sent: ${error.message}`));
    typed.prompt();
  });
  typed.once('close', () => {
    void publication.unpublish().catch(() => {});
    for (const conversation of open.values()) void conversation.end().catch(() => {});
  });
  signal.addEventListener('abort', () => typed.close());
  stop.addEventListener('abort', () => {
    for (const conversation of open.values()) void conversation.close();
  });
  const running = new Set<Promise<void>>();
  for await (const conversation of publication.conversations) {
    tellReachability(out, conversation);
    const number = ++count;
    current = number;
    open.set(number, conversation);
    const hello = conversation.hello ? `, "${textOf(conversation.hello)}"` : '';
    out.progress(
      'conversation',
      { number, ...trustFields(conversation.trust) },
      `\rconversation ${number}: open${whoText(conversation)}${hello}`,
    );
    const job = (async () => {
      let compared = false;
      try {
        for await (const message of conversation) {
          // It is known from the first message on, and worth something while there is time to compare it.
          if (!compared && conversation.sas) {
            compared = true;
            const { sas } = conversation;
            out.progress('sas', { number, sas }, `\rconversation ${number}: compare aloud: ${sasText(sas)}`);
          }
          const text = textOf(message);
          out.result({ event: 'message', number, text }, `\r${number} < ${text}`);
          if (!out.json) typed.prompt(true);
        }
        await conversation.end();
      } catch {
        // `closed` tells.
      }
      const how = await conversation.closed;
      out.progress('ended', { number, how }, `conversation ${number}: ${how} · it was ${sasText(conversation.sas)}`);
      open.delete(number);
    })();
    running.add(job);
    typed.prompt();
  }
  await Promise.all(running);
  typed.close();
}

/** The first conversation gets standard input and output, exact bytes; then it is over. */
export async function servePipe(publication: OpenPublication, out: Output, { signal }: Interruption): Promise<void> {
  for await (const conversation of publication.conversations) {
    out.progress(
      'conversation',
      { number: 1, ...trustFields(conversation.trust), sas: conversation.sas ?? null },
      `conversation open${whoText(conversation)}`,
    );
    tellReachability(out, conversation);
    const breakOff = (): void => void conversation.close();
    if (signal.aborted) breakOff();
    signal.addEventListener('abort', breakOff);
    const unpublished = publication.unpublish().catch(() => {});
    const end = await pipeConversation(conversation, process.stdin, process.stdout);
    await unpublished;
    checkPipe(end, signal);
    return;
  }
}
