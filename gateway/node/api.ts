/**
 * What a node does for the commands, whether it runs in the same process or behind the control socket: the
 * commands are written against this alone.
 */
import type { Conversation } from '@rdv/protocol/conversation/api';
import type { HistoryPage } from '@rdv/protocol/conversation/durability';
import type { BridgePolicy } from '@rdv/protocol/namespace/port';
import type { BeaconClock } from '@rdv/protocol/tag/link';
import type { JoinStatus } from '../bridge/join.js';
import type { IdentitySource } from '../identity/open-signer.js';
import type { TrustSource } from '../identity/trust-policy.js';
import type { AirProofStatus } from '../radio/air-proof.js';
import type { AdapterPart, NodeHealth } from './health.js';
import type { JsonObject } from './json-lines.js';
import type { BoardPart } from './kept-board.js';

export type Lifecycle =
  | { readonly kind: 'unlimited' }
  | { readonly kind: 'single' }
  | { readonly kind: 'limited'; readonly limit: number };

export interface PublishRequest {
  /** The tag as text. Never logged. */
  readonly tag: string;
  readonly realm: string;
  readonly lifecycle: Lifecycle;
  /** Un-published after this many seconds; undefined: until told. */
  readonly ttlSeconds?: number | undefined;
  /** Days whose records are out ahead of time, 0 to 7: for a node that sleeps. */
  readonly aheadEpochs?: number | undefined;
  /** Namespace URLs; undefined: the node's own. */
  readonly namespaces?: readonly string[] | undefined;
  readonly bridge?: BridgePolicy | undefined;
  /** Shown in lists; stays in the node. */
  readonly title?: string | undefined;
  /** Goes inside the handshake, ≤ 512 bytes. */
  readonly hello?: Uint8Array | undefined;
  /** Whether a beacon carries it on the air; default: not single-shots that have another namespace (SPEC §8). */
  readonly advertise?: boolean | undefined;
  /** Publish anew what is used up; default: an error. */
  readonly again?: boolean | undefined;
  /** Vouches for the records, and is proved to responders who ask (SPEC §6). */
  readonly identity?: IdentitySource | undefined;
  /** Only responders who prove to be these get a conversation. */
  readonly allow?: TrustSource | undefined;
  /** Conversations outlive restarts; with `history`, what was said can be read again. Default: ephemeral. */
  readonly durable?: boolean | { readonly history: boolean } | undefined;
}

/** Which publication: by its handle, or by the tag itself. */
export type PublicationTarget = { readonly handle: string } | { readonly tag: string; readonly realm: string };

/** `inactive`: off every namespace until it is activated. `stopped`: in the store, and nobody serves it until the tag is published again. */
export type PublicationState = 'active' | 'inactive' | 'used-up' | 'expired' | 'unpublished' | 'stopped';

export interface PublicationInfo {
  /** Random; names the publication in every command. Says nothing about the tag. */
  readonly handle: string;
  readonly title: string | undefined;
  readonly lifecycle: Lifecycle;
  readonly state: PublicationState;
  /** Responses accepted so far. */
  readonly accepted: number;
  /** How many more are accepted; undefined: any number, or nobody serves it. */
  readonly left?: number | undefined;
  /** Other publications seen under the tag, 64 at most; undefined: nobody serves it. */
  readonly others?: number | undefined;
  /** Unix milliseconds. */
  readonly expiresAt: number | undefined;
  readonly namespaces: readonly string[];
}

export interface OpenPublication {
  readonly info: PublicationInfo;
  /** Accepted conversations, each once; ends when the publication is over. One consumer. */
  readonly conversations: AsyncIterable<Conversation>;
  /** Takes it off every namespace. Conversations go on. Idempotent. */
  unpublish(): Promise<void>;
  /** Stops serving; the records stay until they expire, and publishing the tag again takes it up. Idempotent. */
  close(): Promise<void>;
}

/** A conversation that outlives restarts of this end (SPEC §7.7). */
export interface DurableRequest {
  /** 32 hexadecimal digits, random: the caller's, so that it knows the conversation again. */
  readonly handle: string;
  /** For lists; stays in the node. */
  readonly title?: string | undefined;
  /** Keep what was said, to be read again. */
  readonly history: boolean;
}

export interface ResumeRequest {
  readonly handle: string;
  /** Default: where it was before. */
  readonly namespaces?: readonly string[] | undefined;
  readonly identity?: IdentitySource | undefined;
}

/** A durable conversation. */
export interface ConversationInfo {
  readonly handle: string;
  readonly role: 'publisher' | 'responder';
  /** Handle of the publication that it came to, at the publisher's end. */
  readonly publication: string | undefined;
  readonly title: string | undefined;
  /** `open`: somebody has it. `stored`: waits to be resumed. `over`: its history, or messages not taken, are left. */
  readonly state: 'open' | 'stored' | 'over';
  /** Unix milliseconds. */
  readonly since: number;
  readonly sent: number;
  readonly unacknowledged: number;
  readonly delivered: number;
  /** What the other end has proved, as JSON. */
  readonly trust: JsonObject;
  /** Of this end, where it began the conversation. */
  readonly namespaces: readonly string[];
}

export interface RespondRequest {
  /** Default: ephemeral. */
  readonly durable?: DurableRequest | undefined;
  readonly tag: string;
  readonly realm: string;
  readonly namespaces?: readonly string[] | undefined;
  readonly timeoutMs: number;
  /** Fail with `not-published` as soon as every namespace has answered, or after 3 s. */
  readonly noWait: boolean;
  readonly hello?: Uint8Array | undefined;
  /** Proved to a publisher who asks (SPEC §6). */
  readonly identity?: IdentitySource | undefined;
  /** Whom to believe, beside the key that the tag names. */
  readonly trust?: TrustSource | undefined;
  /** Speak to anybody, although tag or `trust` name somebody. */
  readonly anonymousFirst?: boolean | undefined;
}

export interface ScanRequest {
  /** Tags whose beacons are to be named; others show as unknown. */
  readonly tags: readonly {
    readonly text: string;
    readonly realm: string;
    /** Where a stock beacon carries the tag (SPEC §8.1). */
    readonly beacon?: BeaconClock | undefined;
  }[];
}

/** One beacon heard. No address: it would identify the device beyond the tag. */
export interface BeaconHeard {
  /** 8 bytes in hex. */
  readonly eid: string;
  readonly format: 'native' | 'eddystone';
  readonly rssi: number;
  readonly connectable: boolean;
  readonly wantsBridging: boolean;
  readonly hasMail: boolean;
  /** Index into the request's tags, or undefined for a stranger's. */
  readonly tag: number | undefined;
}

export interface NodeStatus {
  readonly version: string;
  readonly uptimeMs: number;
  readonly roles: readonly string[];
  readonly namespaces: readonly { readonly name: string; readonly state: string }[];
  readonly adapters: readonly AdapterPart[];
  /** How all of it is, in a word and in sentences. */
  readonly health: NodeHealth;
  /** This node's name on brokers, where it reports. */
  readonly reportsAs: string | undefined;
  /** Hex. */
  readonly nodeKey: string | undefined;
  /** Of the gateway role. */
  readonly bridge: Readonly<Record<string, number>> | undefined;
  /** What each join carried, in both directions. */
  readonly joins: readonly JoinStatus[];
  /** What a second radio hears of the beacon role; undefined where none listens. */
  readonly onAir: AirProofStatus | undefined;
  /** Beacon boards that it keeps in step, attached at the moment or not. */
  readonly boards: readonly BoardPart[];
  /** The namespace service in this node's process, and how many streams and links are open there. */
  readonly server?: { readonly url: string; readonly streams: number } | undefined;
}

/** Whether a namespace can be used at the moment. It is tried again by itself while it cannot. */
export interface NamespaceNote {
  /** Without password. */
  readonly name: string;
  readonly state: 'up' | 'down';
  /** One line for people, where it is down and knows why. */
  readonly why: string | undefined;
}

export type OnNamespace = (note: NamespaceNote) => void;

export interface NodeApi {
  /** @param onNamespace called until the publication is closed: records reach a namespace when it is up */
  publish(request: PublishRequest, signal?: AbortSignal, onNamespace?: OnNamespace): Promise<OpenPublication>;
  /**
   * @param onNamespace called until somebody answers
   * @throws RdvError `unreachable` instead of `timeout` or `not-published` when no namespace could be asked
   */
  respond(request: RespondRequest, signal?: AbortSignal, onNamespace?: OnNamespace): Promise<Conversation>;
  list(): Promise<readonly PublicationInfo[]>;
  /** By handle, or by the tag itself. @throws RdvError `not-published` */
  unpublish(target: PublicationTarget): Promise<void>;
  /** Off every namespace, until `activate`. @throws RdvError `not-published`, `refused` when it is over */
  deactivate(target: PublicationTarget): Promise<void>;
  /** @throws RdvError `not-published`, `refused` when it is over */
  activate(target: PublicationTarget): Promise<void>;
  /** Ends so many seconds from now, or never. @throws RdvError `not-published`, `refused` when it is used up */
  renew(target: PublicationTarget, ttlSeconds: number | undefined): Promise<void>;
  /** The durable ones. */
  conversations(): Promise<readonly ConversationInfo[]>;
  /** @throws RdvError `not-published` when there is none, `busy` when somebody has it */
  resume(request: ResumeRequest): Promise<Conversation>;
  /** Entries after the index `after`, oldest first. @throws RdvError `not-published` */
  history(handle: string, page: { readonly after?: number; readonly limit?: number }): Promise<HistoryPage>;
  /** Deletes what is kept of a conversation. @throws RdvError `not-published`, `busy` */
  forget(handle: string): Promise<void>;
  /** Until `signal` fires. */
  scan(request: ScanRequest, onHeard: (heard: BeaconHeard) => void, signal: AbortSignal): Promise<void>;
  status(): Promise<NodeStatus>;
  close(): Promise<void>;
}
