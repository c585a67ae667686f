/** The wire constants of RDV1, each with its § of SPEC.md. Changing one of them is a new protocol. */

/** §1 */
export const KEY_BYTES = 32;
export const HASH_BYTES = 32;
export const AEAD_TAG_BYTES = 16;

/** §2 */
export const TAG_MAX_BYTES = 8192;
export const REALM_MAX_BYTES = 64;
/** A tag of 8192 bytes, percent-encoded, and all hints. */
export const LINK_MAX_CHARS = 40_000;
export const LINK_HINTS_MAX = 8;
export const LINK_HINT_MAX_CHARS = 512;
export const TAG_SECRET_BYTES = 32;
export const EPOCH_SECONDS = 86_400;
export const ID_BYTES = 32;
export const QUEUE_BYTES = 16;
export const SCRYPT: { readonly N: number; readonly r: number; readonly p: number } = {
  N: 2 ** 17,
  r: 8,
  p: 1,
} as const;

/** §3 */
export const RECORD_VERSION = 1;
export const OWNER_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const RECORD_NONCE_BYTES = 24;
/** Sizes that `sealed` may have; 0 is a tombstone. */
export const SEALED_SIZES: readonly number[] = [512, 1024, 1536, 3072, 6144];
/** An encoded record is never longer: the largest `sealed` and at most 183 bytes around it. */
export const RECORD_MAX_BYTES: number = 6144 + 183;
export const METADATA_MAX_BYTES = 512;
export const NOT_AFTER_GRACE_SECONDS = 3600;
export const NOT_AFTER_MAX_AHEAD_SECONDS: number = 9 * EPOCH_SECONDS;
/** Records published ahead by who may sleep: the last one still ends within the bound above. */
export const AHEAD_EPOCHS_MAX = 7;
export const OWNERS_PER_ID = 8;
/** Queue frames are kept for a sleeping receiver this long. */
export const QUEUE_TTL_SECONDS: number = 24 * 3600;

/** §4, §5 */
export const RENDEZVOUS_VERSION = 1;
export const MAC1_BYTES = 16;
export const HELLO_MAX_BYTES = 512;
/** Noise payload sizes, padding included. */
export const HANDSHAKE_PAYLOAD_SIZES: readonly number[] = [256, 512, 1152];
export const PREKEYS_PER_INBOX = 4;
export const RESPONSES_PER_PREKEY = 65_536;
export const UNCONFIRMED_MAX = 256;
export const UNCONFIRMED_MIN_AGE_SECONDS = 60;
/** A reply may wait in a queue for a day, and the first frame that answers it as long. */
export const UNCONFIRMED_SECONDS: number = 48 * 3600;

/** §7 */
export const RUN_BYTES = 8;
export const FRAME_HEADER_BYTES = 16;
export const FRAME_BUCKET_BYTES = 32;
export const MESSAGE_MAX_BYTES: number = 16 * 1024 * 1024;
export const WINDOW_BYTES: number = 64 * 1024;
export const REPLAY_RUNS = 16;
export const GENERATION_FRAMES: number = 2 ** 16;
export const GENERATION_SECONDS: number = EPOCH_SECONDS;
/** A message's end takes this many positions of the stream, so that empty messages cannot fill memory. */
export const MARK_POSITIONS = 32;
export const END_POSITIONS = 1;
export const ACK_RANGES_MAX = 16;
/** Largest plaintext of a frame: with header and tag it fills a link message. */
export const FRAME_OVERHEAD_BYTES: number = FRAME_HEADER_BYTES + AEAD_TAG_BYTES;
/** A closed end answers with these, cyclically, for as long and as often as said. */
export const CLOSED_ANSWERS = 16;
export const CLOSED_ANSWER_SECONDS: number = 24 * 3600;

/** §8 */
export const EID_BYTES = 8;
export const BEACON_KEY_BYTES = 16;
export const EID_EXPONENT = 10;
/** Minted once for RDV1, version 4 (RFC 9562). */
export const SERVICE_UUID = '0d282a4e-525e-473a-9fca-8bc0b4c505a4';
/** Central to peripheral: write without response. */
export const WRITE_UUID = '6613d62f-f70b-4938-a0ad-9445f0c326da';
/** Peripheral to central: notify. */
export const NOTIFY_UUID = '209ee918-cc35-417a-b7df-c47dcc998c06';

/** §9: payload that fills one link-layer packet at MTU 247 and more (Core Vol 6 Part B §2.4). */
export const GATT_PAYLOAD_BYTES = 244;
/** §9: a queue frame or record is never longer on any link. */
export const LINK_MESSAGE_MAX_BYTES: number = 16 * 1024;

/** §6: chains of certificates, and the files of revocation lists that an administrator gives. */
export const CERTIFICATE_CHAIN_MAX = 4;
export const CERTIFICATE_CHAIN_MAX_BYTES = 8192;
export const CRL_MAX_BYTES: number = 1024 * 1024;
