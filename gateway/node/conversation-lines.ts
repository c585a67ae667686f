/**
 * A conversation as JSON lines, the same on the control socket and on a publication's `socket` handler.
 *
 * node → program   {"conversation":{"role","channelBinding","sas","hello","trust","confirm"?}} first, then
 *                  {"message":BASE64} · {"acknowledged":COUNT} · {"sas":{"digits","emoji"}} · {"end":true} ·
 *                  {"challenged":{"trust"} or {"error"}} · {"closed":REASON}, after which the stream ends
 * program → node   {"message":BASE64} or {"text":STRING} · {"challenge":true} · {"end":true} · {"close":true} ·
 *                  {"suspend":true}: a durable one is put aside, to be resumed · {"taken":true}, where "confirm" was said: the
 *                  message is done with, and the next one may come
 *
 * The stream's own end counts as {"end":true} from a program; its breaking closes the conversation. On the control socket
 * both put a durable conversation aside and close others, and a durable one's messages are delivered when they are taken: a
 * command that is killed has the last one again.
 */
import type { Duplex } from 'node:stream';
import type {
  ChallengeOptions,
  CloseReason,
  Conversation,
  ConversationRole,
  ConversationState,
  ShortAuthString,
} from '@rdv/protocol/conversation/api';
import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { DecodeError, RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { TrustInfo } from '@rdv/protocol/identity/api';
import { type JsonLines, type JsonObject, jsonLines } from './json-lines.js';
import { messagesOf, whenStoreTakes } from './store-patience.js';
import { failureFromJson, failureToJson, trustFromJson, trustToJson } from './trust-json.js';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function messageOf(line: JsonObject): Uint8Array | undefined {
  if (typeof line['text'] === 'string') return utf8(line['text']);
  if (line['message'] === undefined) return undefined;
  if (typeof line['message'] !== 'string') throw new DecodeError('"message" is not base64 text');
  const bytes = Buffer.from(line['message'], 'base64');
  if (base64(bytes) !== line['message']) throw new DecodeError('"message" is not base64');
  return new Uint8Array(bytes);
}

/** Puts a durable conversation aside, in this process or behind a control socket; closes any other. */
export function leaveConversation(conversation: Conversation): Promise<void> {
  if (conversation instanceof RemoteConversation) return conversation.leave();
  return conversation.durable ? conversation.durable.suspend() : conversation.close();
}

/**
 * Serves `conversation` to the program behind `stream`. Resolves when the conversation is over.
 * @param onBreak what becomes of it when the stream ends without a word, or breaks; default: its end is END, and a broken
 *   one closes the conversation
 */
export async function serveConversation(
  stream: Duplex,
  conversation: Conversation,
  onBreak?: (conversation: Conversation) => Promise<void>,
): Promise<CloseReason> {
  const lines = jsonLines(stream);
  const confirming = onBreak !== undefined && conversation.durable !== undefined;
  let taken = (): void => {};
  const gone = new Promise<boolean>((resolve) => {
    stream.once('close', () => resolve(false));
  });
  const quiet = (work: Promise<unknown>): Promise<void> =>
    work.then(
      () => {},
      () => {},
    );
  await quiet(
    lines.write({
      conversation: {
        role: conversation.role,
        channelBinding: toHex(conversation.channelBinding),
        sas: conversation.sas ?? null,
        hello: conversation.hello ? base64(conversation.hello) : null,
        trust: trustToJson(conversation.trust),
        ...(confirming && { confirm: true }),
      },
    }),
  );
  let sasTold = conversation.sas !== undefined;
  const tellSas = async (): Promise<void> => {
    if (sasTold || !conversation.sas) return;
    sasTold = true;
    await quiet(lines.write({ sas: conversation.sas }));
  };
  const stopState = conversation.onState(() => void tellSas());

  const outward = (async () => {
    try {
      for await (const message of messagesOf(conversation)) {
        await tellSas();
        const done = new Promise<boolean>((resolve) => {
          taken = () => resolve(true);
        });
        await lines.write({ message: base64(message) });
        // One that is never taken is not delivered: it is handed over again when the conversation is resumed.
        if (confirming && !(await Promise.race([done, gone]))) return;
      }
      await lines.write({ end: true });
    } catch {
      // Either end's going shows in `closed` below.
    }
  })();

  const end = async (): Promise<void> => {
    await whenStoreTakes(conversation);
    await conversation.end();
  };
  const failed = async (error: unknown): Promise<void> => {
    await quiet(lines.write({ error: { code: toRdvError(error).code, message: toRdvError(error).message } }));
    await conversation.close();
  };
  const inward = (async () => {
    let acknowledged = 0;
    try {
      for (;;) {
        const line = await lines.read();
        // A command says when it has no more to say; one that was killed has said nothing.
        if (!line && onBreak) return void (await onBreak(conversation));
        if (!line || (line['end'] === true && !confirming)) break;
        if (line['end'] === true) {
          // It still says what it takes.
          end().catch(failed);
          continue;
        }
        if (line['close'] === true) return void (await conversation.close());
        if (line['taken'] === true) {
          taken();
          continue;
        }
        if (line['suspend'] === true) return void (await leaveConversation(conversation));
        if (line['challenge'] === true) {
          conversation.challenge().then(
            (trust) => quiet(lines.write({ challenged: { trust: trustToJson(trust) } })),
            (error: unknown) => quiet(lines.write({ challenged: { error: failureToJson(error) } })),
          );
          continue;
        }
        const message = messageOf(line);
        if (!message) throw new DecodeError('a line has none of "message", "text", "challenge", "end", "close"');
        await whenStoreTakes(conversation);
        conversation.send(message).then(
          () => quiet(lines.write({ acknowledged: ++acknowledged })),
          () => {},
        );
      }
      await end();
    } catch (error) {
      await failed(error);
    }
  })();

  stream.once('close', () => void (onBreak ?? ((given) => given.close()))(conversation));
  const reason = await conversation.closed;
  stopState();
  // Of a suspended one nothing more is taken.
  if (!confirming || reason !== 'suspended') await outward;
  await quiet(lines.write({ closed: reason }));
  lines.end();
  // One that says what it takes is read until its stream is gone.
  if (!confirming) await inward.catch(() => {});
  return reason;
}

const REASONS: ReadonlySet<string> = new Set<CloseReason>([
  'finished',
  'aborted',
  'peer-aborted',
  'sas-mismatch',
  'state-lost',
  'protocol-violation',
  'expired',
  'suspended',
]);

/** Messages read ahead of the application. */
const MESSAGES_AHEAD = 16;

/** The program's side: a conversation whose engine runs in the node behind `lines`. */
export class RemoteConversation implements Conversation {
  readonly role: ConversationRole;
  readonly channelBinding: Uint8Array;
  readonly hello: Uint8Array | undefined;
  readonly closed: Promise<CloseReason>;
  sas: ShortAuthString | undefined;
  trust: TrustInfo;
  state: ConversationState = 'open';
  readonly #lines: JsonLines;
  readonly #messages: Uint8Array[] = [];
  readonly #sent: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  readonly #asked: { resolve: (trust: TrustInfo) => void; reject: (error: unknown) => void }[] = [];
  readonly #listeners = new Set<(state: ConversationState) => void>();
  readonly #confirms: boolean;
  #ended = false;
  #reason: CloseReason | undefined;
  #wake: () => void = () => {};
  #taken: () => void = () => {};
  #resolveClosed: (reason: CloseReason) => void = () => {};

  private constructor(lines: JsonLines, first: JsonObject) {
    this.#lines = lines;
    this.role = first['role'] === 'publisher' ? 'publisher' : 'responder';
    this.channelBinding = fromHex(String(first['channelBinding']));
    this.trust = trustFromJson(first['trust']);
    this.sas = (first['sas'] as ShortAuthString | null) ?? undefined;
    this.#confirms = first['confirm'] === true;
    this.hello = typeof first['hello'] === 'string' ? new Uint8Array(Buffer.from(first['hello'], 'base64')) : undefined;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Reads the greeting and starts. @throws RdvError what the node answers, or `closed` */
  static async open(lines: JsonLines): Promise<RemoteConversation> {
    const first = await lines.read();
    const greeting = first?.['conversation'];
    if (typeof greeting !== 'object' || greeting === null) throw new RdvError('closed', 'the node hung up');
    const conversation = new RemoteConversation(lines, greeting as JsonObject);
    void conversation.#readAll();
    return conversation;
  }

  async #readAll(): Promise<void> {
    try {
      for (;;) {
        const line = await this.#lines.read();
        if (!line) break;
        const message = messageOf(line);
        if (message) {
          this.#messages.push(message);
          this.#wake();
          // Not reading on is what holds the peer back.
          while (this.#messages.length >= MESSAGES_AHEAD && this.#reason === undefined) {
            await new Promise<void>((resolve) => {
              this.#taken = resolve;
            });
          }
        } else if (line['end'] === true) this.#ended = true;
        else if (line['sas']) {
          this.sas = line['sas'] as ShortAuthString;
          for (const listener of this.#listeners) listener(this.state);
        } else if (typeof line['acknowledged'] === 'number') {
          this.#sent.shift()?.resolve();
        } else if (typeof line['challenged'] === 'object' && line['challenged'] !== null) {
          this.#onChallenged(line['challenged'] as JsonObject);
        } else if (typeof line['closed'] === 'string') {
          this.#finish(REASONS.has(line['closed']) ? (line['closed'] as CloseReason) : 'aborted');
        }
        this.#wake();
      }
    } catch {
      // A broken line ends the conversation below.
    }
    this.#finish('aborted');
    this.#lines.close();
  }

  #finish(reason: CloseReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.state = 'closed';
    for (const waiting of this.#sent.splice(0))
      waiting.reject(new RdvError('closed', `the conversation is over (${reason})`));
    for (const asked of this.#asked.splice(0)) {
      asked.reject(new RdvError('closed', `the conversation is over (${reason})`));
    }
    this.#resolveClosed(reason);
    this.#taken();
    for (const listener of this.#listeners) listener('closed');
    this.#wake();
  }

  onState(listener: (state: ConversationState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whom to believe was said when the node opened the conversation: a policy cannot be given here. */
  async challenge(options: ChallengeOptions = {}): Promise<TrustInfo> {
    if (options.policy) throw new RdvError('unsupported', 'whom to believe is said when the conversation is opened');
    if (this.#reason !== undefined) throw new RdvError('closed', `the conversation is over (${this.#reason})`);
    const answer = new Promise<TrustInfo>((resolve, reject) => {
      this.#asked.push({ resolve, reject });
    });
    answer.catch(() => {});
    await this.#lines.write({ challenge: true });
    return answer;
  }

  #onChallenged({ trust, error }: JsonObject): void {
    const asked = this.#asked.shift();
    if (trust === undefined) {
      asked?.reject(failureFromJson(error));
      return;
    }
    this.trust = trustFromJson(trust);
    asked?.resolve(this.trust);
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#reason !== undefined) throw new RdvError('closed', `the conversation is over (${this.#reason})`);
    const acknowledged = new Promise<void>((resolve, reject) => {
      this.#sent.push({ resolve, reject });
    });
    acknowledged.catch(() => {});
    await this.#lines.write({ message: base64(message) });
    await acknowledged;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift();
      if (message) {
        this.#taken();
        yield message;
        if (this.#confirms) await this.#lines.write({ taken: true }).catch(() => {});
        continue;
      }
      if (this.#ended || this.#reason === 'finished') return;
      if (this.#reason !== undefined) throw new RdvError('closed', `the conversation is over (${this.#reason})`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async end(): Promise<void> {
    if (this.#reason === undefined) await this.#lines.write({ end: true });
  }

  async close(): Promise<void> {
    if (this.#reason === undefined) await this.#lines.write({ close: true }).catch(() => {});
    await this.closed;
  }

  /** Puts it aside where it is durable; else as `close`. */
  async leave(): Promise<void> {
    if (this.#reason === undefined) await this.#lines.write({ suspend: true }).catch(() => {});
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A conversation over `stream`, for programs behind a `socket` handler. */
  static overStream(stream: Duplex): Promise<RemoteConversation> {
    return RemoteConversation.open(jsonLines(stream));
  }
}
