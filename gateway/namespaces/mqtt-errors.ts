/**
 * What brokers and networks refuse, as errors of RDV: one line for a person, saying what to do next. Reason codes
 * are those of MQTT 5 (§2.4) and the return codes of MQTT 3.1.1 (§3.2.2.3).
 */
import { RdvError, type RdvErrorCode } from '@rdv/protocol/core/errors';

/** The broker's answer to CONNECT means: not this version of MQTT. */
export function isVersionRefusal(reason: number | undefined): boolean {
  return reason === 1 || reason === 132;
}

const CONNECT_REFUSALS: Readonly<Record<number, readonly [RdvErrorCode, string]>> = {
  1: ['unsupported', 'the broker speaks another version of MQTT: try ?version=3.1.1'],
  2: ['not-authorized', 'the broker refuses the client identifier'],
  3: ['unreachable', 'the broker is not available at the moment'],
  4: ['not-authorized', 'the broker refuses user name or password: check them'],
  5: ['not-authorized', 'the broker refuses the connection: check user name, password and its access rules'],
  132: ['unsupported', 'the broker speaks another version of MQTT: try ?version=3.1.1'],
  133: ['not-authorized', 'the broker refuses the client identifier'],
  134: ['not-authorized', 'the broker refuses user name or password: check them'],
  135: ['not-authorized', 'the broker refuses the connection: check user name, password and its access rules'],
  138: ['not-authorized', 'the broker has banned this client'],
};

/** CONNACK with `reason` other than 0, from the broker called `name`. */
export function connectRefusal(name: string, reason: number): RdvError {
  const [code, text] = CONNECT_REFUSALS[reason] ?? (['unreachable', `the broker refuses (reason ${reason})`] as const);
  return new RdvError(code, `${name}: ${text}`);
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is the broker running, and is the port right?',
  EHOSTUNREACH: 'no way to that host: check the network',
  ENETUNREACH: 'no way to that network: check the connection',
  ETIMEDOUT: 'no answer: check host, port and firewall',
  ECONNRESET: 'the connection was cut: does an MQTT broker listen on that port, and with TLS as the URL says?',
};

const UNTRUSTED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted: give the CA with ?ca=FILE',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted: give the CA with ?ca=FILE',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted: give the CA with ?ca=FILE',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted: give the CA with ?ca=FILE',
  CERT_HAS_EXPIRED: 'its certificate has expired: the broker needs a new one (or this clock is wrong)',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: check the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host: check the host name',
};

/** A connection that failed below MQTT. `cause` is what the network, TLS or the library threw. */
export function connectionFailure(name: string, host: string, cause: unknown): RdvError {
  const error = cause as { code?: unknown; message?: unknown; errors?: unknown } | undefined;
  // Several addresses tried at once (AggregateError): the first one's reason stands for all.
  if (Array.isArray(error?.errors) && error.errors.length > 0) return connectionFailure(name, host, error.errors[0]);
  const code = typeof error?.code === 'string' ? error.code : '';
  const message = typeof error?.message === 'string' ? error.message : '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new RdvError('unreachable', `${name}: unknown host "${host}": check its spelling and the network`, {
      cause,
    });
  }
  const untrusted = UNTRUSTED[code];
  if (untrusted) return new RdvError('authentication-failed', `${name}: ${untrusted}`, { cause });
  if (/alert|handshake failure|certificate required/i.test(message) && code.startsWith('ERR_SSL')) {
    const text = 'the broker ends the TLS handshake: it may want a client certificate (?cert=FILE&key=FILE)';
    return new RdvError('authentication-failed', `${name}: ${text}`, { cause });
  }
  if (code.startsWith('ERR_SSL')) {
    return new RdvError('unreachable', `${name}: no TLS there: does the port speak TLS?`, { cause });
  }
  const text =
    UNREACHABLE[code] ?? (message === 'connack timeout' ? 'no MQTT broker answers there' : 'connection lost');
  return new RdvError('unreachable', `${name}: ${text}`, { cause });
}

const REFUSALS: Readonly<Record<number, readonly [RdvErrorCode, string]>> = {
  135: ['not-authorized', 'the broker does not allow this: check its access rules'],
  143: ['unsupported', 'the broker refuses topics of this form'],
  144: ['unsupported', 'the broker refuses topics of this form'],
  149: ['too-large', 'the broker does not take packets of this size: raise its limit'],
  151: ['quota', "the broker's quota is used up"],
  154: ['unsupported', 'the broker keeps no retained messages: records need them, switch them on'],
  162: ['unsupported', 'the broker allows no wildcard subscriptions: readers need <id>/+'],
};

/** PUBACK or SUBACK with a `reason` of 0x80 and more. MQTT 3.1.1 gives no reason but 0x80. */
export function requestRefusal(name: string, reason: number): RdvError {
  const [code, text] =
    REFUSALS[reason] ??
    (['not-authorized', `the broker refuses this (reason ${reason}): check its access rules`] as const);
  return new RdvError(code, `${name}: ${text}`);
}
