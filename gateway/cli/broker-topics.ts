/** A connection to a broker's plain topics for one command: the first failure is the command's. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { type MqttPlain, openMqttPlain } from '../namespaces/mqtt-plain.js';
import { DEFAULT_BASE } from '../namespaces/mqtt-topics.js';
import { parseNamespaceUrl } from '../namespaces/parse-url.js';

/** @throws InvalidArgumentError · RdvError `unreachable`, `not-authorized` */
export async function openBrokerTopics(
  url: string | undefined,
  ports: Surroundings,
): Promise<{ readonly topics: MqttPlain; readonly base: string }> {
  if (url === undefined) throw new InvalidArgumentError('which broker? Give --namespace mqtt://HOST');
  const spec = parseNamespaceUrl(url);
  if (spec.kind !== 'mqtt') throw new InvalidArgumentError('this needs an MQTT broker: --namespace mqtt://HOST');
  const topics = await openMqttPlain({ ...ports, target: spec.target });
  try {
    await topics.firstAttempt;
  } catch (error) {
    await topics.close();
    throw error;
  }
  return { topics, base: spec.target.base ?? DEFAULT_BASE };
}
